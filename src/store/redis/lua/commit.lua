-- Ends an attempt. Before: the lease is that of this fence. After: what was folded is gone from the inbox, document,
-- story, words and claims are those told, and the lane stands where it is told, or is due where entries wait.
-- ROOT d ID: the document. ROOT s ID: the story. ROOT k ID, hash: t WORD and o KEY of what finds and belongs to
-- them, '#' entries of the story that are gone. TERMS: WORD, a zero, ID. OWNERS: KEY -> ID.
-- KEYS: lane, document, story, words. ARGV[2] fence, [3] stamp up to which entries are folded or '', [4] source,
-- [5] state, [6] ms from now until due or '', [7] whether it wakes (1), [8] tag, [9] whether there is a document (1),
-- [10] document, [11] id of the dead letter or '', [12] its row, [13] entries of the story at the most, [14..17]
-- number of: entries of the story, words added, words removed, keys given up; then these.
local lane_key, document_key, story_key, words_key = unpack(KEYS, FIXED + 1)
local lane = read_lane(lane_key)
if not lane or lane.state ~= 'r' or lane.stamp ~= tonumber(ARGV[2]) then return { broken, 0 } end
local folded_to = tonumber(ARGV[3]) or 0
local folded, count = first_entries(lane, function(_, place) return place <= folded_to end)
if not folded then return { broken, -1 } end
local rest = ''
if count < lane.entries then rest = call('GETRANGE', lane_key, HEAD_BYTES + #lane.tag + #folded, -1) end
count_entries(ARGV[4], -count)

local at = 18
local function each(n, act)
  for m = at, at + n - 1 do act(ARGV[m]) end
  at = at + n
end
local gone = 0
each(tonumber(ARGV[14]), function(entry)
  if (try('RPUSH', story_key, entry) or 0) > tonumber(ARGV[13]) then
    try('LPOP', story_key)
    gone = gone + 1
  end
end)
if gone > 0 then try('HINCRBY', words_key, '#', gone) end
each(tonumber(ARGV[15]), function(term)
  try('HSET', words_key, 't' .. term, '')
  try('ZADD', TERMS, 0, term .. '\0' .. lane.id)
end)
each(tonumber(ARGV[16]), function(term)
  try('HDEL', words_key, 't' .. term)
  try('ZREM', TERMS, term .. '\0' .. lane.id)
end)
each(tonumber(ARGV[17]), function(key)
  if try('HGET', OWNERS, key) == lane.id then
    try('HDEL', OWNERS, key)
    try('HDEL', words_key, 'o' .. key)
  end
end)
if ARGV[9] == '1' then
  call('SET', document_key, ARGV[10])
  if not has(lane, HAS_DOCUMENT) then call('HINCRBY', CTL, 'people', 1) end
  set(lane, HAS_DOCUMENT, true)
end
if has(lane, HAS_DEAD) then
  local before = try('HGET', DEAD_OF, lane.id)
  if before and before ~= ARGV[11] then drop_dead(before) end
end
if ARGV[11] ~= '' then keep_dead(ARGV[11], ARGV[12]) end
set(lane, HAS_DEAD, ARGV[11] ~= '')

leave(lane)
lane.entries = lane.entries - count
local wakes_it = ARGV[7] == '1'
local is_due = lane.entries > 0 and (wakes_it or has(lane, OWED))
set(lane, WAKES, wakes_it)
set(lane, OWED, false)
lane.tag = ARGV[8]
if is_due then
  lane.tag = ''
  stand(lane, 'w', now)
else
  stand(lane, ARGV[5], ARGV[6] == '' and 0 or math.max(now + ARGV[6], 1))
  if lane.tag ~= '' then
    try('ZADD', ROOT .. 't:' .. lane.tag, int(lane.stamp), lane.id)
    set(lane, PARKED, true)
  end
end
call('SET', lane_key, head_of(lane) .. rest)
keep_lanes()
return { broken, 1 }
