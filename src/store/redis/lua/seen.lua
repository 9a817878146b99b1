-- Deliveries that are remembered, packed into segments: there may be millions, and a field of a hash
-- takes some 100 bytes besides what is told about a delivery.
-- SEEN: segment's number -> its deliveries in no order, each: key (16 bytes), until when (ms, 7 bytes), how
-- many ids (3 bytes), fingerprint (16 bytes), ids (16 bytes each). Segments without any have no field.
-- CTL seen_segments: how many segments there are; seen_at: the one that is tidied next.
--
-- Linear hashing: which segment is a key's follows from the key, a hash itself, and from how many there are.
-- Whenever a segment has become too long, one more is made, which takes half of what is in another one: not
-- of the long one, but of each in its turn. A delivery only ever moves to a segment of a higher number.
--
-- A segment is written, and goes to the append-only file, whole with every delivery: so they are short.
local SEGMENT_BYTES_MAX = 512
local ROW_FINGERPRINT, ROW_IDS = 26, 42

-- What is in the segments that were looked at, with what is not written yet, and which those are. Nothing is
-- written before `write_seen`: a delivery is not to be remembered whose jobs are not.
local seen, seen_unwritten = {}, {}
-- How many segments there are, were, and the greatest power of two that is no greater.
local seen_count, seen_before, seen_power

local function count_seen(count)
  seen_count = count
  seen_power = 1
  while seen_power * 2 <= count do seen_power = seen_power * 2 end
end

local function seen_begin()
  if seen_count then return end
  seen_before = tonumber(call('HGET', CTL, 'seen_segments') or 1)
  count_seen(seen_before)
end

-- The segment where a key is or would be.
local function seen_segment(key)
  local hash = struct.unpack('>I6', key)
  local n = hash % (seen_power * 2)
  return n < seen_count and n or hash % seen_power
end

-- Its field.
local seen_names = {}
local function seen_name(n)
  local name = seen_names[n]
  if not name then
    name = int(n)
    seen_names[n] = name
  end
  return name
end

-- Reads the segments of these keys by one command.
local function load_seen(keys)
  seen_begin()
  local numbers, names = {}, {}
  for at, key in ipairs(keys) do
    numbers[at] = seen_segment(key)
    names[at] = seen_name(numbers[at])
  end
  for at, rows in ipairs(call('HMGET', SEEN, unpack(names))) do seen[numbers[at]] = rows or '' end
end

local function seen_rows(n)
  local rows = seen[n]
  if not rows then
    rows = call('HGET', SEEN, seen_name(n)) or ''
    seen[n] = rows
  end
  return rows
end

-- The delivery at `at` of a segment: its key, until when, and where the next one begins.
local function row_at(rows, at)
  local key, until_ms, ids = struct.unpack('>c16I7I3', rows, at)
  return key, until_ms, at + ROW_IDS + ids * 16
end

-- The delivery of a key: until when it is remembered, its fingerprint, its ids; nil where there is none.
local function find_seen(key)
  seen_begin()
  local rows = seen_rows(seen_segment(key))
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

-- A page of what is remembered still, from a segment on ('' at first): key, fingerprint, until, ids of each;
-- and the segment to go on from, or ''.
local function page_of_seen(from, most)
  seen_begin()
  local found, first = {}, tonumber(from) or 0
  local n = first
  while n < seen_count and n - first < most and #found < most do
    local rows, at = seen_rows(n), 1
    while at + ROW_IDS - 1 <= #rows do
      local key, until_ms, after = row_at(rows, at)
      if until_ms > now then
        found[#found + 1] = { key, string.sub(rows, at + ROW_FINGERPRINT, at + ROW_IDS - 1), int(until_ms),
          string.sub(rows, at + ROW_IDS, after - 1) }
      end
      at = after
    end
    n = n + 1
  end
  return found, n < seen_count and int(n) or ''
end

-- A segment without what is past its time; how many went.
local function still_seen(rows)
  local kept, gone, at = {}, 0, 1
  while at + ROW_IDS - 1 <= #rows do
    local _, until_ms, after = row_at(rows, at)
    if until_ms > now then kept[#kept + 1] = string.sub(rows, at, after - 1) else gone = gone + 1 end
    at = after
  end
  return table.concat(kept), gone
end

local function change_seen(n, rows)
  seen[n], seen_unwritten[n] = rows, true
end

-- Makes one more segment, of half of what is in the one whose turn it is.
local function split_seen()
  local from, to = seen_count - seen_power, seen_count
  local rows = still_seen(seen_rows(from))
  count_seen(seen_count + 1)
  local parts, at = { [from] = {}, [to] = {} }, 1
  while at + ROW_IDS - 1 <= #rows do
    local key, _, after = row_at(rows, at)
    local part = parts[seen_segment(key)]
    part[#part + 1] = string.sub(rows, at, after - 1)
    at = after
  end
  change_seen(from, table.concat(parts[from]))
  change_seen(to, table.concat(parts[to]))
end

-- Remembers a delivery; `write_seen` writes it. One of the same key that is past its time goes.
local function remember(key, until_ms, fingerprint, ids)
  seen_begin()
  local n = seen_segment(key)
  local rows = seen_rows(n)
  if #rows + ROW_IDS > SEGMENT_BYTES_MAX or string.find(rows, key, 1, true) then
    rows = still_seen(rows)
    change_seen(n, rows)
    if #rows + ROW_IDS > SEGMENT_BYTES_MAX then
      split_seen()
      n = seen_segment(key)
      rows = seen_rows(n)
    end
  end
  change_seen(n, rows .. struct.pack('>c16I7I3', key, until_ms, #ids / 16) .. fingerprint .. ids)
end

local function write_seen()
  local rows, empty = {}, {}
  for n in pairs(seen_unwritten) do
    if seen[n] == '' then
      empty[#empty + 1] = seen_name(n)
    else
      rows[#rows + 1] = seen_name(n)
      rows[#rows + 1] = seen[n]
    end
  end
  write('HSET', SEEN, rows)
  if seen_count ~= seen_before then call('HSET', CTL, 'seen_segments', int(seen_count)) end
  write('HDEL', SEEN, empty)
end

-- Goes through so many segments, beginning where it stopped the last time; says how many deliveries went.
local function tidy_seen(segments)
  seen_begin()
  local from, gone = tonumber(call('HGET', CTL, 'seen_at') or 0), 0
  local past = math.min(from + segments, seen_count)
  for n = from, past - 1 do
    local kept, dropped = still_seen(seen_rows(n))
    if dropped > 0 then
      change_seen(n, kept)
      gone = gone + dropped
    end
  end
  write_seen()
  if past < seen_count then
    call('HSET', CTL, 'seen_at', int(past))
  else
    call('HDEL', CTL, 'seen_at')
    if call('HLEN', SEEN) == 0 then call('HDEL', CTL, 'seen_segments') end
  end
  return gone
end
