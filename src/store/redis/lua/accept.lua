-- Accepts deliveries: several share a call, but are independent. Afterwards, for each: either nothing changed, because
-- it is known, there is no room, or a lane cannot be parsed; or it is remembered, its entries are in inboxes, and its
-- unmapped records are dead letters.
-- ROOT KEY (16 bytes): format (1), until when it is remembered in ms (6), the ids that it got (16 each), and if it
-- is known by its id, what it said (4), which is returned with them.
-- KEYS: for each delivery its key, if it has one; then for each entry its lane and `number_of`'s set.
-- ARGV[2..4] bounds: entries, dead letters, bytes; [5] number of deliveries; then for each its head and ids, for each
-- entry what `append` takes and `number_of`'s number, for each unmapped record its id, row and payload. The head: kind
-- (1 byte: 0 is never recognised again, 1 is by its id, 2 is by its body, but only while it is the newest delivery
-- about its people), ms to remember (6), number of entries and of unmapped records (4 each), source.
-- Returns for each delivery: s (stored), d and the ids, e, l or b (full: entries, letters, bytes), x (unreadable lane).
-- Its cost is commands and strings, so it uses as few of them as possible.
local KEYS, ARGV, sub = KEYS, ARGV, string.sub
local entries_max, letters_max, bytes_max = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local waits, waits_of, came, heads = 0, {}, {}, {}
do
  local counts = try('HGETALL', ENTRIES) or {}
  for n = 1, #counts, 2 do
    waits_of[counts[n]] = tonumber(counts[n + 1])
    waits = waits + waits_of[counts[n]]
  end
end

-- Most have the same head as the one before.
local function read_head(text)
  local kind, remember_ms, entries, unmapped, at = struct.unpack('>BI6I4I4', text)
  local head = { kind = kind, px = int(remember_ms), entries = entries, unmapped = unmapped,
    source = sub(text, at), memory = struct.pack('>BI6', 1, now + remember_ms) }
  local rest = string.char(#head.source) .. head.source
  -- The lane of a new person, up to the key of the newest delivery.
  local newest_bytes, newest_flag = kind == 2 and 16 or 0, kind == 2 and HAS_NEWEST or 0
  head.lane = struct.pack(HEAD, FORMAT, 'w', WAKES + IS_FRESH + newest_flag, now, now, 1, #rest + newest_bytes) .. rest
  heads[text] = head
  return head
end

-- Whether a source would have more than its share: `share_of_source` of store/mod.rs.
local function is_beyond(max, all, mine, more)
  return more > 0 and 2 * (mine + more) > max - (all - mine)
end

local function full_of_dead(source, from, count)
  local counts = try('HMGET', DEAD_COUNT, '#', 's' .. source, '#b', 'b' .. source) or {}
  for n = 1, 4 do counts[n] = tonumber(counts[n] or 0) end
  local bytes = 0
  for at = from, from + count * 3 - 1, 3 do bytes = bytes + #ARGV[at + 2] end
  if is_beyond(letters_max, counts[1], counts[2], count) then return 'l' end
  if is_beyond(bytes_max, counts[3], counts[4], bytes) then return 'b' end
end

-- Until when and what is remembered of a key; nil: nothing (any more).
local function known_ids(key, text)
  if not text then return nil end
  if string.byte(text) ~= 1 or #text < 7 then
    unreadable(key)
    return nil
  end
  local _, until_ms = struct.unpack('>BI6', text)
  return until_ms > now and sub(text, 8) or nil
end

-- Puts an entry into an inbox. A person who is new to the sets of numbers has no lane, or an unexpected one.
local function take(head, key, bucket, body, number, newest)
  if try('SADD', bucket, number) == 1 and is_in_order() then
    local text = head.lane .. newest .. next_seq() .. body
    local bytes = try('APPEND', key, text)
    if bytes == #text then
      fresh[#fresh + 1] = now_text .. sub(key, -8)
      wakes = true
      return true
    end
    if bytes then call('SET', key, call('GETRANGE', key, 0, bytes - #text - 1)) end
  end
  return append_to(key, head.source, body, newest)
end

-- Which entries say something new: all, where a delivery is not known. nil: a lane does not read.
local function news_of(head, known, newest, key_at)
  local news = {}
  for n = 0, head.entries - 1 do
    local lane = read_lane(KEYS[key_at + 2 * n])
    if lane == false then return nil end
    if not known or not lane or lane.newest ~= newest then news[#news + 1] = n end
  end
  return news
end

local function accept(head, ids, key, key_at, at)
  local is_set, known, newest, news = false, nil, '', nil
  local count, dead_at = head.entries, at + head.entries * 2
  if key then
    local before = try('SET', key, head.memory .. ids, 'NX', 'GET', 'PX', head.px)
    is_set, known = before == false, known_ids(key, before)
    if known and head.kind == 1 then return 'd' .. known end
    if head.kind == 2 then newest = sub(key, -16) end
  end
  local why
  if known or count > 1 then
    news = news_of(head, known, newest, key_at)
    if not news then
      why = 'x'
    elseif known then
      count = #news
      if count == 0 then return 'd' .. known end
      local kept = {}
      for n, entry in ipairs(news) do kept[n] = sub(ids, entry * 16 + 1, entry * 16 + 16) end
      ids = table.concat(kept) .. sub(ids, head.entries * 16 + 1)
    end
  end
  if not why and is_beyond(entries_max, waits, waits_of[head.source] or 0, count) then why = 'e' end
  if not why and head.unmapped > 0 then why = full_of_dead(head.source, dead_at, head.unmapped) end
  if not why then
    for n = 0, head.entries - 1 do
      if not known or news[1] == n then
        if known then table.remove(news, 1) end
        local lane_at, body_at = key_at + 2 * n, at + 2 * n
        if not take(head, KEYS[lane_at], KEYS[lane_at + 1], ARGV[body_at], ARGV[body_at + 1], newest) then why = 'x' end
      end
    end
  end
  if why then
    if is_set then call('DEL', key) end
    return why
  end
  if key and not is_set then call('SET', key, head.memory .. ids, 'PX', head.px) end
  waits, waits_of[head.source] = waits + count, (waits_of[head.source] or 0) + count
  came[head.source] = (came[head.source] or 0) + count
  for from = dead_at, dead_at + head.unmapped * 3 - 1, 3 do keep_dead(ARGV[from], ARGV[from + 1], ARGV[from + 2]) end
  return 's'
end

local answers, key_at, at = { broken }, FIXED + 1, 6
for n = 1, tonumber(ARGV[5]) do
  local head, key = heads[ARGV[at]] or read_head(ARGV[at]), nil
  if head.kind > 0 then
    key = KEYS[key_at]
    key_at = key_at + 1
  end
  answers[n + 1] = accept(head, ARGV[at + 1], key, key_at, at + 2)
  key_at, at = key_at + head.entries * 2, at + 2 + head.entries * 2 + head.unmapped * 3
end
for source, count in pairs(came) do count_entries(source, count) end
keep_lanes()
return answers
