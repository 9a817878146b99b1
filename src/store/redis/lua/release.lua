-- Makes people due who are parked under a tag, the longest first. KEYS: the tag's. ARGV[2] how many at the most.
-- Answers how many, and how many it looked at. Everybody waits while it runs: the caller asks for few at once.
local parked, count = KEYS[FIXED + 1], 0
local ids = try('ZRANGE', parked, 0, ARGV[2] - 1) or {}
for _, id in ipairs(ids) do
  local lane = lane_of(id)
  try('ZREM', parked, id)
  if lane and parked == ROOT .. 't:' .. lane.tag then
    release(lane)
    save_head(lane)
    count = count + 1
  elseif lane == false then
    -- A claim finds it, and sets it aside.
    try('ZADD', DUE, int(now), id)
  end
end
keep_lanes()
return { broken, count, #ids }
