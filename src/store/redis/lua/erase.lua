-- Erases a person: lane with inbox, document, story, words, claims, dead letters, and unmapped records that name
-- them. KEYS: lane, document, story, words. ARGV[2] ID. Answers whether there was such a person.
local lane_key, document_key, story_key, words_key = unpack(KEYS, FIXED + 1)
local id, was_there = ARGV[2], 0
local lane = read_lane(lane_key)
if lane then
  leave(lane)
  count_entries(lane.source, -lane.entries)
  if has(lane, HAS_DOCUMENT) then call('HINCRBY', CTL, 'people', -1) end
  was_there = 1
elseif lane == false then
  for _, place in pairs(PLACES) do try('ZREM', place, id) end
  try('ZREM', DUE, id)
  try('HDEL', LEASED, id)
  try('ZREM', LEASES, id)
  was_there = 1
end
for _, field in ipairs(try('HKEYS', words_key) or {}) do
  local kind, word = string.sub(field, 1, 1), string.sub(field, 2)
  if kind == 't' then
    try('ZREM', TERMS, word .. '\0' .. id)
  elseif kind == 'o' and try('HGET', OWNERS, word) == id then
    try('HDEL', OWNERS, word)
  end
end
local own = try('HGET', DEAD_OF, id)
if own then drop_dead(own) end
for _, member in ipairs(try('ZRANGE', UNMAPPED, '[' .. id, '(' .. id .. string.rep('\255', 17), 'BYLEX') or {}) do
  drop_dead(string.sub(member, 9))
  was_there = 1
end
call('DEL', lane_key, document_key, story_key, words_key)
local bucket, number = number_of(id)
try('SREM', bucket, int(number))
keep_lanes()
return { broken, was_there }
