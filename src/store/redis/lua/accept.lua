-- Accepts deliveries: several share a call, each for itself. After, for each: it is known, or there is no room, or
-- a lane does not read, and nothing changed; or it is remembered, its entries are in their inboxes, and its
-- unmapped records are dead letters.
-- ROOT KEY (16 bytes): format (1), until when it is remembered in ms (6), the ids that it got (16 each).
-- KEYS: of each delivery its own, where it has one, then the lane of each entry.
-- ARGV[2..4] bounds: entries, dead letters, bytes; [5] number of deliveries; of each its head, of each entry what
-- `append` takes, of each unmapped record id, row and payload. The head: kind (1: 0 is never known again, 1 by its
-- id, 2 by its body, only while it is the newest of its people), ms to remember (6), number of entries and of
-- unmapped records (4 each), their ids, source.
-- Answers for each s (stored), d and the ids, e, l or b (full: entries, letters, bytes), x (a lane does not read).
local entries_max, letters_max, bytes_max = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lanes, waits, waits_of, came = {}, 0, {}, {}
do
  local counts = try('HGETALL', ENTRIES) or {}
  for n = 1, #counts, 2 do
    waits_of[counts[n]] = tonumber(counts[n + 1])
    waits = waits + waits_of[counts[n]]
  end
end

-- Whether a source would have more than its share: `share_of_source` of store/mod.rs.
local function is_beyond(max, all, mine, more)
  return more > 0 and mine + more > math.floor(math.max(max - (all - mine), 0) / 2)
end

local function full_of_dead(source, letters, bytes)
  local counts = try('HMGET', DEAD_COUNT, '#', 's' .. source, '#b', 'b' .. source) or {}
  for n = 1, 4 do counts[n] = tonumber(counts[n] or 0) end
  if is_beyond(letters_max, counts[1], counts[2], letters) then return 'l' end
  if is_beyond(bytes_max, counts[3], counts[4], bytes) then return 'b' end
end

local function accept(key, kind, remember_ms, entries, unmapped, ids, source, key_at, arg_at)
  local newest, memory, is_set, known = '', nil, false, nil
  if key then
    if kind == 2 then newest = string.sub(key, -16) end
    memory = struct.pack('>BI6', 1, now + remember_ms) .. ids
    local before = try('SET', key, memory, 'NX', 'GET', 'PX', int(remember_ms))
    is_set = before == false
    if before then
      if string.byte(before) == 1 and #before >= 7 then
        local _, until_ms = struct.unpack('>BI6', before)
        if until_ms > now then known = string.sub(before, 8) end
      else
        unreadable(key)
      end
    end
    if known and kind == 1 then return 'd' .. known end
  end
  local function refuse(why)
    if is_set then call('DEL', key) end
    return why
  end
  local news = {}
  for n = 0, entries - 1 do
    local lane_key = KEYS[key_at + n]
    local lane = lanes[lane_key]
    if lane == nil then
      lane = read_lane(lane_key)
      if lane == nil then lane = new_lane(lane_key, source) end
      lanes[lane_key] = lane
    end
    if not lane then return refuse('x') end
    if not known or lane.newest ~= newest then news[#news + 1] = n end
  end
  if known and #news == 0 then return 'd' .. known end
  if is_beyond(entries_max, waits, waits_of[source] or 0, #news) then return refuse('e') end
  local dead_at = arg_at + entries
  if unmapped > 0 then
    local bytes = 0
    for at = dead_at, dead_at + unmapped * 3 - 1, 3 do bytes = bytes + #ARGV[at + 2] end
    local why = full_of_dead(source, unmapped, bytes)
    if why then return refuse(why) end
  end
  if known then
    local kept = {}
    for m, n in ipairs(news) do kept[m] = string.sub(ids, n * 16 + 1, n * 16 + 16) end
    memory = string.sub(memory, 1, 7) .. table.concat(kept) .. string.sub(ids, entries * 16 + 1)
  end
  if key and not is_set then call('SET', key, memory, 'PX', int(remember_ms)) end
  for _, n in ipairs(news) do
    local lane = lanes[KEYS[key_at + n]]
    lane.newest = newest
    append(lane, ARGV[arg_at + n])
  end
  waits, waits_of[source] = waits + #news, (waits_of[source] or 0) + #news
  came[source] = (came[source] or 0) + #news
  for at = dead_at, dead_at + unmapped * 3 - 1, 3 do keep_dead(ARGV[at], ARGV[at + 1], ARGV[at + 2]) end
  return 's'
end

local answers, key_at, arg_at = { broken }, FIXED + 1, 6
for n = 1, tonumber(ARGV[5]) do
  local head = ARGV[arg_at]
  local kind, remember_ms, entries, unmapped, ids_at = struct.unpack('>BI6I4I4', head)
  local source_at, key = ids_at + 16 * (entries + unmapped), nil
  if kind > 0 then
    key = KEYS[key_at]
    key_at = key_at + 1
  end
  local ids = string.sub(head, ids_at, source_at - 1)
  answers[n + 1] = accept(key, kind, remember_ms, entries, unmapped, ids, string.sub(head, source_at), key_at, arg_at + 1)
  key_at, arg_at = key_at + entries, arg_at + 1 + entries + unmapped * 3
end
for source, count in pairs(came) do count_entries(source, count) end
keep_lanes()
return answers
