-- People's lanes. ROOT l ID (8 bytes) is one string, read by position:
--   format (1), state (1: letters of PLACES, or r, running), flags (1), since in ms (6), due in ms (6; 0: never),
--   entries (4), length of what follows up to the inbox (2): length of the source (1), source, key of the newest
--   delivery (16, if its flag is set), tag; then the inbox, for each entry: place (7), length (4), bytes.
-- Its place in the queue: in FRESH (a list of since and ID) if it waits and has been due since it was added; else in
-- the set of its state (by since), and if it has a time, in DUE (by that). A leased lane is in LEASES (by the end), and
-- in LEASED: ID -> format (1), fence (7), since (6), number of the claim (7), worker. A parked one is also in
-- ROOT t: TAG (by since).
local FORMAT, HEAD, HEAD_BYTES = 1, '>Bc1BI6I6I4I2', 21
local PLACES = { i = IDLE, w = WAITING, h = HELD, s = SCHEDULED, n = INCOMPLETE, b = BLOCKED }
-- Flags. WAKES: a new entry makes it due. HAS_DEAD, HAS_DOCUMENT: it has one.
local WAKES, IS_FRESH, HAS_NEWEST, HAS_DEAD, HAS_DOCUMENT = 1, 2, 4, 8, 16
local fresh, fresh_since, wakes, seq = {}, nil, false, nil

local now_text = struct.pack('>I6', now)

local function has(lane, flag)
  return bit.band(lane.flags, flag) ~= 0
end

local function set(lane, flag, is_set)
  lane.flags = is_set and bit.bor(lane.flags, flag) or bit.band(lane.flags, bit.bnot(flag))
end

local function unreadable(key)
  broken[#broken + 1] = key
  return false
end

-- A lane; nil: there is none; false: it cannot be parsed, which is reported.
local function read_lane(key)
  local text = try('GETRANGE', key, 0, '63')
  if not text then return false end
  if text == '' then return nil end
  if #text < HEAD_BYTES or string.byte(text) ~= FORMAT then return unreadable(key) end
  local lane = { key = key, id = string.sub(key, -8) }
  local _, rest
  _, lane.state, lane.flags, lane.since, lane.due, lane.entries, rest = struct.unpack(HEAD, text)
  lane.inbox_at = HEAD_BYTES + rest
  if #text < lane.inbox_at then text = call('GETRANGE', key, 0, lane.inbox_at - 1) end
  local source_bytes = string.byte(text, HEAD_BYTES + 1) or 255
  local at = HEAD_BYTES + 2 + source_bytes
  local tag_at = at + (has(lane, HAS_NEWEST) and 16 or 0)
  if lane.state ~= 'r' and not PLACES[lane.state] or #text < lane.inbox_at or tag_at - 1 > lane.inbox_at then
    return unreadable(key)
  end
  lane.source = string.sub(text, HEAD_BYTES + 2, at - 1)
  lane.newest, lane.tag = string.sub(text, at, tag_at - 1), string.sub(text, tag_at, lane.inbox_at)
  return lane
end

local function lane_of(id)
  return read_lane(ROOT .. 'l' .. id)
end

local function head_of(lane)
  set(lane, HAS_NEWEST, lane.newest ~= '')
  local rest = string.char(#lane.source) .. lane.source .. lane.newest .. lane.tag
  return struct.pack(HEAD, FORMAT, lane.state, lane.flags, lane.since, lane.due, lane.entries, #rest) .. rest
end

-- Writes all but the inbox.
local function save_head(lane)
  local head = head_of(lane)
  if #head == lane.inbox_at then
    call('SETRANGE', lane.key, 0, head)
  else
    call('SET', lane.key, head .. call('GETRANGE', lane.key, lane.inbox_at, -1))
    lane.inbox_at = #head
  end
end

-- Removes a lane from its place in the queue.
local function leave(lane)
  if lane.state == 'r' then
    try('HDEL', LEASED, lane.id)
    try('ZREM', LEASES, lane.id)
  elseif has(lane, IS_FRESH) then
    try('LREM', FRESH, 1, struct.pack('>I6', lane.since) .. lane.id)
    set(lane, IS_FRESH, false)
  else
    try('ZREM', PLACES[lane.state], lane.id)
    if lane.due > 0 then try('ZREM', DUE, lane.id) end
  end
  if lane.tag ~= '' then try('ZREM', ROOT .. 't:' .. lane.tag, lane.id) end
  lane.tag = ''
end

-- Whether FRESH may be appended to and stay in order: a clock may be set back a little (or a key be damaged).
local function is_in_order()
  if not fresh_since then
    local last = try('LINDEX', FRESH, -1)
    fresh_since = last and struct.unpack('>I6', last) or last == false and 0 or math.huge
  end
  return now >= fresh_since
end

-- Puts a lane into its new place in the queue: due at a time (0: never), parked under a tag or ''. Not saved yet.
local function move_to(lane, state, due, tag)
  leave(lane)
  lane.state, lane.since, lane.due, lane.tag = state, now, due, tag
  if due > 0 and due <= now then wakes = true end
  if tag ~= '' then try('ZADD', ROOT .. 't:' .. tag, int(now), lane.id) end
  if state == 'w' and due == now then
    if is_in_order() then
      set(lane, IS_FRESH, true)
      fresh[#fresh + 1] = now_text .. lane.id
      return
    end
  end
  try('ZADD', PLACES[state], int(now), lane.id)
  if due > 0 then try('ZADD', DUE, int(due), lane.id) end
end

-- `Lane::due_at`: it waits for a worker, since that time.
local function make_due(lane, at)
  move_to(lane, 'w', at, '')
  set(lane, WAKES, true)
end

-- `Lane::released`: due now, or since earlier if it was due already.
local function release(lane)
  make_due(lane, lane.state ~= 'r' and lane.due > 0 and math.min(lane.due, now) or now)
end

-- `Lane::woken`: whether something new in the inbox makes it due.
local function is_woken(state, due, wakes_it)
  return wakes_it and state ~= 'r' and (due == 0 or due > now)
end

local function flush_fresh()
  for at = 1, #fresh, 4000 do try('RPUSH', FRESH, unpack(fresh, at, math.min(at + 3999, #fresh))) end
  fresh = {}
end

-- The set that holds all people whose numbers share the first 12 of 62 bits, by the other 50: in a small set of
-- numbers, each takes 8 bytes.
local function number_of(id)
  local high, low = struct.unpack('>I2I6', id)
  return ROOT .. 'n' .. int_format('%03x', math.floor(high / 4)), high % 4 * 281474976710656 + low
end

local function next_seq()
  seq = (seq or tonumber(call('HGET', CTL, 'seq') or 0)) + 1
  return struct.pack('>I7', seq)
end

-- Appends an entry to the inbox; `body` is its length and bytes.
local function append(lane, body)
  lane.entries = lane.entries + 1
  if is_woken(lane.state, lane.due, has(lane, WAKES)) then make_due(lane, now) end
  save_head(lane)
  call('APPEND', lane.key, next_seq() .. body)
end

-- The same for the person of that lane, who may be new. `newest`: the key of the delivery or ''.
-- Returns the lane; false: it cannot be parsed.
local function append_to(key, source, body, newest)
  local lane = read_lane(key)
  if lane == nil then
    lane = { key = key, id = string.sub(key, -8), state = 'i', flags = WAKES, since = now, due = 0, entries = 0,
      source = source, newest = '', tag = '', inbox_at = 0 }
    local bucket, number = number_of(lane.id)
    try('SADD', bucket, int(number))
  end
  if lane then
    lane.newest = newest or lane.newest
    append(lane, body)
  end
  return lane
end

-- The inbox's first entries up to the one that `wanted(number, place, bytes up to its end)` declines, and how many they
-- are. nil: they cannot be parsed.
local function first_entries(lane, wanted)
  local size, at, count = 65536, 1, 0
  local text = call('GETRANGE', lane.key, lane.inbox_at, lane.inbox_at + size - 1)
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
      unreadable(lane.key)
      return nil
    else
      size = size * 4
      text = call('GETRANGE', lane.key, lane.inbox_at, lane.inbox_at + size - 1)
    end
  end
  return string.sub(text, 1, at - 1), count
end

local function count_entries(source, delta)
  if delta ~= 0 then try('HINCRBY', ENTRIES, source, delta) end
end

-- The end of every script that changes lanes. A wake-up is only a hint: sleeping workers also poll.
local function keep_lanes()
  flush_fresh()
  if seq then call('HSET', CTL, 'seq', int(seq)) end
  keep_time()
  if wakes then redis.pcall('PUBLISH', WAKE, '') end
end
