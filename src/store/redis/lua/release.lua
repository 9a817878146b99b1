-- Makes people due who are parked under a tag. KEYS: the tag's. ARGV[2] how many at most: everybody waits while it
-- runs. Returns how many, and how many it looked at.
local count, seen = release_parked(KEYS[FIXED + 1], tonumber(ARGV[2]))
keep_lanes()
return { broken, count, seen }
