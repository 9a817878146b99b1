-- Deliveries that are remembered, packed into segments: there may be millions, and a field of a hash
-- with its place in an order takes some 160 bytes, twice of what is told about a delivery.
-- SEEN_ORDER: the segments' names, in order, the first one ''; SEEN: segment -> its deliveries in no order,
-- each: key (16 bytes), until when (ms, 7 bytes), how many ids (3 bytes), fingerprint (16 bytes), ids (16
-- bytes each). No key in a segment is below its name, none is at or above the next one's.
-- CTL seen_at: the segment that is tidied next.
--
-- A segment is written, and goes to the append-only file, whole with every delivery.
local SEEN_BYTES = 1024
local ROW_FINGERPRINT, ROW_IDS = 26, 42

-- The delivery at `at` of a segment: its key, until when, and where the next one begins.
local function row_at(rows, at)
  local key, until_ms, ids = struct.unpack('>c16I7I3', rows, at)
  return key, until_ms, at + ROW_IDS + ids * 16
end

-- What is in the segments that were looked at, with what is not written yet; which those are, and the names
-- of new ones. Nothing is written before `write_seen`: a delivery is not to be remembered whose jobs are not.
local segments, unwritten, new_names = {}, {}, {}

-- The segment where a key is or would be, and what is in it.
local function seen_segment(key)
  local name = call('ZREVRANGEBYLEX', SEEN_ORDER, '[' .. key, '-', 'LIMIT', 0, 1)[1] or ''
  for _, new in ipairs(new_names) do
    if new ~= '' and not is_below(key, 1, new, 1) and (name == '' or is_below(name, 1, new, 1)) then name = new end
  end
  segments[name] = segments[name] or call('HGET', SEEN, name) or ''
  return name, segments[name]
end

local function change_segment(name, rows)
  segments[name], unwritten[name] = rows, true
end

-- The delivery of a key: until when it is remembered, its fingerprint, its ids; nil where there is none.
local function find_seen(key)
  local _, rows = seen_segment(key)
  -- Hardly any delivery comes twice, and this is quick.
  if not string.find(rows, key, 1, true) then return nil end
  local at = 1
  while at + ROW_IDS - 1 <= #rows do
    local found, until_ms, after = row_at(rows, at)
    if found == key then
      return until_ms, string.sub(rows, at + ROW_FINGERPRINT, at + ROW_IDS - 1), string.sub(rows, at + ROW_IDS, after - 1)
    end
    at = after
  end
end

-- A page of what is remembered still, from a place on ('' at first): key, fingerprint, until, ids of each; and
-- the place to go on from, or ''.
local function page_of_seen(from, most)
  local begin = from == '' and '-' or '[' .. from
  -- Rows of a segment, about.
  local count = math.max(math.floor(most / 16), 1)
  local names = call('ZRANGEBYLEX', SEEN_ORDER, begin, '+', 'LIMIT', 0, count + 1)
  local found = {}
  for n = 1, math.min(#names, count) do
    local rows, at = call('HGET', SEEN, names[n]) or '', 1
    while at + ROW_IDS - 1 <= #rows do
      local key, until_ms, after = row_at(rows, at)
      if until_ms > now then
        found[#found + 1] = { key, string.sub(rows, at + ROW_FINGERPRINT, at + ROW_IDS - 1), int(until_ms),
          string.sub(rows, at + ROW_IDS, after - 1) }
      end
      at = after
    end
  end
  return found, names[count + 1] or ''
end

-- A segment without what is past its time, as a list; how many went.
local function still_seen(rows)
  local kept, gone, at = {}, 0, 1
  while at + ROW_IDS - 1 <= #rows do
    local _, until_ms, after = row_at(rows, at)
    if until_ms > now then kept[#kept + 1] = string.sub(rows, at, after - 1) else gone = gone + 1 end
    at = after
  end
  return kept, gone
end

-- Drops what is past its time from a segment; says how many went.
local function tidy_segment(name)
  local kept, gone = still_seen(call('HGET', SEEN, name) or '')
  if #kept == 0 then
    call('HDEL', SEEN, name)
    call('ZREM', SEEN_ORDER, name)
  elseif gone > 0 then
    call('HSET', SEEN, name, table.concat(kept))
  end
  return gone
end

-- Remembers a delivery; `write_seen` writes it. One of the same key that is past its time goes.
local function remember(key, until_ms, fingerprint, ids)
  local name, rows = seen_segment(key)
  local row = struct.pack('>c16I7I3', key, until_ms, #ids / 16) .. fingerprint .. ids
  local again = string.find(rows, key, 1, true)
  if rows == '' then new_names[#new_names + 1] = name end
  if not again and #rows + #row <= SEEN_BYTES then
    change_segment(name, rows .. row)
    return
  end
  local kept = still_seen(rows)
  kept[#kept + 1] = row
  if #kept > 1 and #table.concat(kept) > SEEN_BYTES then
    table.sort(kept, function(a, b) return is_below(a, 1, b, 1) end)
    local half = math.floor(#kept / 2)
    local upper = string.sub(kept[half + 1], 1, 16)
    new_names[#new_names + 1] = upper
    change_segment(upper, table.concat(kept, '', half + 1))
    change_segment(name, table.concat(kept, '', 1, half))
  else
    change_segment(name, table.concat(kept))
  end
end

local function write_seen()
  local rows = {}
  for name in pairs(unwritten) do
    rows[#rows + 1] = name
    rows[#rows + 1] = segments[name]
  end
  write('HSET', SEEN, rows)
  local places = {}
  for _, name in ipairs(new_names) do
    places[#places + 1] = '0'
    places[#places + 1] = name
  end
  write('ZADD', SEEN_ORDER, places)
end

-- Goes through so many segments, beginning where it stopped the last time; says how many deliveries went.
local function tidy_seen(segments)
  local from = call('HGET', CTL, 'seen_at')
  local names = call('ZRANGEBYLEX', SEEN_ORDER, from and '[' .. from or '-', '+', 'LIMIT', 0, segments + 1)
  local gone = 0
  for n = 1, math.min(#names, segments) do gone = gone + tidy_segment(names[n]) end
  local next = names[segments + 1]
  if next then
    call('HSET', CTL, 'seen_at', next)
  elseif from then
    call('HDEL', CTL, 'seen_at')
  end
  return gone
end
