-- Puts an entry into an inbox, whatever the bounds, and makes the person due. KEYS: the lane. ARGV[2] what `append`
-- takes, [3] source. Answers whether there is such a person; -1: their lane does not read.
local lane = read_lane(KEYS[FIXED + 1])
if not lane then return { broken, lane == nil and 0 or -1 } end
append(lane, ARGV[2], nil, true)
count_entries(ARGV[3], 1)
keep_lanes()
return { broken, 1 }
