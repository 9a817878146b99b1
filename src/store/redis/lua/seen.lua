-- Deliveries that are remembered, packed into buckets by the first two bytes of their key: there may be
-- millions, and a hash's field with a sorted set's member takes some 200 bytes.
-- SEEN: bucket -> its deliveries one after the other, each: the key's other 14 bytes, until when (ms, 7
-- bytes), how many ids (3 bytes), the fingerprint (16 bytes), the ids (16 bytes each).
-- SEEN_ORDER: bucket -> until when the one is remembered that is forgotten first.

-- The delivery that begins at `at`: the rest of its key, until when, and where the next one begins.
local function seen_at(bucket, at)
  local rest, until_ms, ids = struct.unpack('>c14I7I3', bucket, at)
  return rest, until_ms, at + 40 + ids * 16
end

-- The delivery of a key: until when it is remembered, its fingerprint, its ids; nil where there is none.
local function find_seen(key)
  local bucket, rest = call('HGET', SEEN, string.sub(key, 1, 2)), string.sub(key, 3)
  -- Hardly any delivery comes twice, and this is quick.
  if not bucket or not string.find(bucket, rest, 1, true) then return nil end
  local at = 1
  while at <= #bucket do
    local found, until_ms, after = seen_at(bucket, at)
    if found == rest then
      return until_ms, string.sub(bucket, at + 24, at + 39), string.sub(bucket, at + 40, after - 1)
    end
    at = after
  end
end

-- Forgets what is past its time in a bucket; says how many went.
local function forget_seen(name)
  local bucket = call('HGET', SEEN, name) or ''
  local kept, first, gone, at = {}, nil, 0, 1
  while at <= #bucket do
    local _, until_ms, after = seen_at(bucket, at)
    if until_ms > now then
      kept[#kept + 1] = string.sub(bucket, at, after - 1)
      first = math.min(first or until_ms, until_ms)
    else
      gone = gone + 1
    end
    at = after
  end
  if first then
    call('HSET', SEEN, name, table.concat(kept))
    call('ZADD', SEEN_ORDER, int(first), name)
  else
    call('HDEL', SEEN, name)
    call('ZREM', SEEN_ORDER, name)
  end
  return gone
end

-- Remembers a delivery that is not remembered (any more).
local function remember(key, until_ms, fingerprint, ids)
  local name = string.sub(key, 1, 2)
  local row = struct.pack('>c14I7I3', string.sub(key, 3), until_ms, #ids / 16) .. fingerprint .. ids
  call('HSET', SEEN, name, (call('HGET', SEEN, name) or '') .. row)
  call('ZADD', SEEN_ORDER, 'LT', int(until_ms), name)
end
