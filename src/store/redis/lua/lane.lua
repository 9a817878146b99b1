-- People's lanes. ROOT l ID (8 bytes) is one text, read by position:
--   format (1), state (1: letters of PLACES, or r, running), flags (1), stamp (7: the last change, and the fence of
--   the lease), due or end of the lease in ms (6; 0: no time), beginning of the newest delivery's key (8), entries
--   (4), length of the tag (1), tag; then the inbox, of each entry: stamp (7), length (4), bytes.
-- Where it stands: FRESH (list of stamp and ID: waits, due since it came there); else the set of its state (by
-- stamp), or LEASED; with a time also in DUE (by that); parked also in ROOT t: TAG (by stamp).
local FORMAT, HEAD, HEAD_BYTES = 1, '>Bc1BI7I6c8I4B', 29
local PLACES = { i = IDLE, w = WAITING, h = HELD, s = SCHEDULED, n = INCOMPLETE, b = BLOCKED }
-- Flags. WAKES: a new entry makes it due. OWED: due once its lease ends. HAS_DEAD, HAS_DOCUMENT: there is one.
local WAKES, IS_FRESH, PARKED, HAS_DEAD, HAS_DOCUMENT, OWED = 1, 2, 4, 8, 16, 32
local NO_DELIVERY = string.rep('\0', 8)
local fresh, wakes = {}, false

local function has(lane, flag)
  return bit.band(lane.flags, flag) ~= 0
end

local function set(lane, flag, is_set)
  lane.flags = is_set and bit.bor(lane.flags, flag) or bit.band(lane.flags, 63 - flag)
end

local function new_lane(key)
  return { key = key, id = string.sub(key, -8), is_new = true, state = 'w', flags = WAKES, stamp = 0, due = 0,
    newest = NO_DELIVERY, entries = 0, tag = '' }
end

-- A lane; nil: there is none; false: it does not read, which is told.
local function read_lane(key)
  local head = try('GETRANGE', key, 0, HEAD_BYTES - 1)
  if head == '' then return nil end
  if not head then return false end
  if #head < HEAD_BYTES or string.byte(head) ~= FORMAT then
    broken[#broken + 1] = key
    return false
  end
  local lane, tag_bytes, _ = { key = key, id = string.sub(key, -8), tag = '' }, 0, 0
  _, lane.state, lane.flags, lane.stamp, lane.due, lane.newest, lane.entries, tag_bytes = struct.unpack(HEAD, head)
  if lane.state ~= 'r' and not PLACES[lane.state] then
    broken[#broken + 1] = key
    return false
  end
  if tag_bytes > 0 then lane.tag = call('GETRANGE', key, HEAD_BYTES, HEAD_BYTES + tag_bytes - 1) end
  return lane
end

local function lane_of(id)
  return read_lane(ROOT .. 'l' .. id)
end

local function head_of(lane)
  return struct.pack(HEAD, FORMAT, lane.state, lane.flags, lane.stamp, lane.due, lane.newest, lane.entries, #lane.tag)
    .. lane.tag
end

local function save_head(lane)
  call('SETRANGE', lane.key, 0, head_of(lane))
end

local function fresh_row(lane)
  return struct.pack('>I7', lane.stamp) .. lane.id
end

-- Takes a lane from where it stands.
local function leave(lane)
  if has(lane, IS_FRESH) then
    try('LREM', FRESH, 1, fresh_row(lane))
  elseif lane.state == 'r' then
    try('HDEL', LEASED, lane.id)
  else
    try('ZREM', PLACES[lane.state], lane.id)
  end
  if lane.due > 0 and not has(lane, IS_FRESH) then try('ZREM', DUE, lane.id) end
  if has(lane, PARKED) then try('ZREM', ROOT .. 't:' .. lane.tag, lane.id) end
  set(lane, IS_FRESH, false)
  set(lane, PARKED, false)
end

-- Puts a lane where it stands from now on, due then (0: not by time). It is not saved yet.
local function stand(lane, state, due)
  lane.state, lane.due, lane.stamp = state, due, next_stamp()
  if due > 0 and due <= now then wakes = true end
  if state == 'w' and due == now then
    set(lane, IS_FRESH, true)
    fresh[#fresh + 1] = fresh_row(lane)
    return
  end
  try('ZADD', PLACES[state], int(lane.stamp), lane.id)
  if due > 0 then try('ZADD', DUE, int(due), lane.id) end
end

local function flush_fresh()
  for at = 1, #fresh, 4000 do try('RPUSH', FRESH, unpack(fresh, at, math.min(at + 3999, #fresh))) end
  fresh = {}
end

-- Makes a lane due that nobody has; one that is due keeps its place.
local function make_due(lane)
  if has(lane, IS_FRESH) or lane.state == 'w' and lane.due > 0 and lane.due <= now then return end
  leave(lane)
  stand(lane, 'w', now)
end

-- The set in which all people of the same first 12 of 62 bits are, by the 50 others: so many that small sets of
-- numbers take 8 bytes for each.
local function number_of(id)
  local high, low = struct.unpack('>I2I6', id)
  return ROOT .. 'n' .. int_format('%03x', math.floor(high / 4)), high % 4 * 281474976710656 + low
end

-- Appends what `body` (length and bytes) says to the inbox; `owed`: it is due whether it wakes or not.
local function append(lane, body, newest, owed)
  local entry = struct.pack('>I7', next_stamp()) .. body
  lane.entries = lane.entries + 1
  lane.newest = newest or lane.newest
  if lane.is_new then
    lane.is_new = nil
    stand(lane, 'w', now)
    call('SET', lane.key, head_of(lane) .. entry)
    local bucket, number = number_of(lane.id)
    try('SADD', bucket, int(number))
    return
  end
  if lane.state == 'r' then
    if owed then set(lane, OWED, true) end
  elseif owed or has(lane, WAKES) then
    make_due(lane)
  end
  save_head(lane)
  call('APPEND', lane.key, entry)
end

-- The inbox's first entries, as long as `wanted` says so of number, stamp and bytes up to it; and how many. nil:
-- they do not read.
local function first_entries(lane, wanted)
  local from, size, at, count = HEAD_BYTES + #lane.tag, 65536, 1, 0
  local text = call('GETRANGE', lane.key, from, from + size - 1)
  while count < lane.entries do
    local past
    if #text >= at + 10 then
      local place, bytes = struct.unpack('>I7I4', text, at)
      past = at + 11 + bytes
      if not wanted(count + 1, place, past - 1) then break end
    end
    if past and past - 1 <= #text then
      at, count = past, count + 1
    elseif #text < size then
      broken[#broken + 1] = lane.key
      return nil
    else
      size = size * 4
      text = call('GETRANGE', lane.key, from, from + size - 1)
    end
  end
  return string.sub(text, 1, at - 1), count
end

local function count_entries(source, delta)
  if delta ~= 0 then try('HINCRBY', ENTRIES, source, delta) end
end

-- The end of every script that changes lanes. A wake-up is a hint: who sleeps looks by themselves, too.
local function keep_lanes()
  flush_fresh()
  keep_time()
  if wakes then redis.pcall('PUBLISH', WAKE, '') end
end
