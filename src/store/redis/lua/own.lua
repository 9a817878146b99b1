-- Claims keys for a person: all of them, or none. Before: the lease is that of this fence, and each key is free,
-- theirs, or owned by the person it may be taken from, who has not changed since they were read. After: all are theirs,
-- and the person who lost one has an entry in the inbox, if one is given.
-- KEYS: lane and words of the person; lane, words and document of the person it may be taken from (or the same ones).
-- ARGV[2] fence, [3] the person it may be taken from or '', [4] what `append` takes or '', and of that person [5] source,
-- [6] place and [7] document as they were read; [8..] the keys. Returns 1, 0 (the lease is lost), or the ID of the person
-- who owns a key.
local lane_key, words_key, former_key, former_words, former_document = unpack(KEYS, FIXED + 1)
local lane = leased_lane(lane_key, ARGV[2])
if not lane then return { broken, 0 } end
local former, taken, theirs = ARGV[3], {}, nil

local function is_as_read()
  theirs = theirs or read_lane(former_key)
  local is_at_rest = theirs and theirs.state ~= 'r' and theirs.entries == 0
  return is_at_rest and theirs.state == ARGV[6] and try('GET', former_document) == ARGV[7]
end

for n = 8, #ARGV do
  local owner = try('HGET', OWNERS, ARGV[n])
  if owner and owner ~= lane.id then
    if owner ~= former or #taken == 0 and not is_as_read() then return { broken, owner } end
    taken[#taken + 1] = ARGV[n]
  end
end
for _, key in ipairs(taken) do try('HDEL', former_words, 'o' .. key) end
if #taken > 0 and ARGV[4] ~= '' and append_to(former_key, ARGV[5], ARGV[4]) then count_entries(theirs.source, 1) end
for n = 8, #ARGV do
  try('HSET', OWNERS, ARGV[n], lane.id)
  try('HSET', words_key, 'o' .. ARGV[n], '')
end
keep_lanes()
return { broken, 1 }
