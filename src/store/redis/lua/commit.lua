-- Ends an attempt. Before: the lease has this fence. After: the folded entries are gone from the inbox; document,
-- story, words and claims are as given; and the lane is in the given state, or due if entries wait.
-- ROOT d ID: the document. ROOT s ID: the story. ROOT k ID, hash: `t WORD` for each word that finds the person, `o KEY`
-- for each key that they own, '#': how many entries of the story are gone. TERMS: WORD, a zero, ID. OWNERS: KEY -> ID.
-- KEYS: lane, document, story, words. ARGV[2] fence, [3] place up to which entries are folded or '', [4] state,
-- [5] ms from now until due or '', [6] 1 if new entries wake it, [7] tag, [8] 1 if there is a document, [9] that,
-- [10] id of the dead letter or '', [11] its row, [12] max entries of the story, [13] max people to release per tag,
-- [14..19] number of: entries of the story, words removed, words added, keys given up, tags whose people are released,
-- entries for others' inboxes (whose lanes follow in KEYS); then all of these; for an entry, what `append` takes.
-- Returns 1, 0 (the lease is lost), or -1.
local lane_key, document_key, story_key, words_key = unpack(KEYS, FIXED + 1)
local lane = leased_lane(lane_key, ARGV[2])
if not lane then return { broken, 0 } end
local folded_to = tonumber(ARGV[3]) or 0
local folded, count = first_entries(lane, function(_, place) return place <= folded_to end)
if not folded then return { broken, -1 } end
local rest = ''
if count < lane.entries then rest = call('GETRANGE', lane_key, lane.inbox_at + #folded, -1) end
count_entries(lane.source, -count)

local at = 20
local function each(n, act)
  for m = at, at + n - 1 do act(ARGV[m]) end
  at = at + n
end
local gone = 0
each(tonumber(ARGV[14]), function(entry)
  if (try('RPUSH', story_key, entry) or 0) > tonumber(ARGV[12]) then
    try('LPOP', story_key)
    gone = gone + 1
  end
end)
if gone > 0 then try('HINCRBY', words_key, '#', gone) end
each(tonumber(ARGV[15]), function(term)
  try('HDEL', words_key, 't' .. term)
  try('ZREM', TERMS, term .. '\0' .. lane.id)
end)
each(tonumber(ARGV[16]), function(term)
  try('HSET', words_key, 't' .. term, '')
  try('ZADD', TERMS, 0, term .. '\0' .. lane.id)
end)
each(tonumber(ARGV[17]), function(key)
  if try('HGET', OWNERS, key) == lane.id then
    try('HDEL', OWNERS, key)
    try('HDEL', words_key, 'o' .. key)
  end
end)
if ARGV[8] == '1' then
  call('SET', document_key, ARGV[9])
  if not has(lane, HAS_DOCUMENT) then call('HINCRBY', CTL, 'people', 1) end
  set(lane, HAS_DOCUMENT, true)
end
if has(lane, HAS_DEAD) then
  local before = try('HGET', DEAD_OF, lane.id)
  if before and before ~= ARGV[10] then drop_dead(before) end
end
if ARGV[10] ~= '' then keep_dead(ARGV[10], ARGV[11]) end
set(lane, HAS_DEAD, ARGV[10] ~= '')

lane.entries = lane.entries - count
local due, wakes_it = 0, ARGV[6] == '1'
if ARGV[5] ~= '' then due = math.max(now + ARGV[5], 1) end
if lane.entries > 0 and is_woken(ARGV[4], due, wakes_it) then
  make_due(lane, now)
else
  move_to(lane, ARGV[4], due, ARGV[7])
  set(lane, WAKES, wakes_it)
end
call('SET', lane_key, head_of(lane) .. rest)
each(tonumber(ARGV[18]), function(tag) release_parked(ROOT .. 't:' .. tag, tonumber(ARGV[13])) end)
for n = 1, tonumber(ARGV[19]) do
  local theirs = read_lane(KEYS[FIXED + 4 + n])
  if theirs then
    append(theirs, ARGV[at + n - 1])
    count_entries(theirs.source, 1)
  end
end
keep_lanes()
return { broken, 1 }
