-- Drops an unmapped record, and puts what it says into inboxes instead, whatever the bounds. KEYS: the lane of
-- each entry. ARGV[2] id, [3] number of entries, for each what `append` takes and source, then for each unmapped record
-- that replaces this one id, row and payload. Returns whether there was such a record; -1: a lane cannot be parsed.
local at = 4
if not dead_fields(ARGV[2]) then return { broken, 0 } end
for n = 1, tonumber(ARGV[3]) do
  if read_lane(KEYS[FIXED + n]) == false then return { broken, -1 } end
end
drop_dead(ARGV[2])
for n = 1, tonumber(ARGV[3]) do
  count_entries(append_to(KEYS[FIXED + n], ARGV[at + 1], ARGV[at]).source, 1)
  at = at + 2
end
for m = at, #ARGV, 3 do keep_dead(ARGV[m], ARGV[m + 1], ARGV[m + 2]) end
keep_lanes()
return { broken, 1 }
