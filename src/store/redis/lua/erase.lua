-- Erases a person: lane with inbox, document, story, words, claims, dead letters, and unmapped records that name
-- them; and makes people due who are parked under these tags. KEYS: lane, document, story, words. ARGV[2] ID,
-- [3] max people to release per tag, [4..] the tags. Returns whether there was such a person.
local id, lane = ARGV[2], read_lane(KEYS[FIXED + 1])
local was_there = lane == nil and 0 or 1
forget(id, lane)
for _, member in ipairs(try('ZRANGE', UNMAPPED, '[' .. id, '(' .. id .. string.rep('\255', 17), 'BYLEX') or {}) do
  drop_dead(string.sub(member, 9))
  was_there = 1
end
call('DEL', unpack(KEYS, FIXED + 1))
local bucket, number = number_of(id)
try('SREM', bucket, int(number))
for n = 4, #ARGV do release_parked(ROOT .. 't:' .. ARGV[n], tonumber(ARGV[3])) end
keep_lanes()
return { broken, was_there }
