-- Makes people due who are parked under a tag, the longest first. KEYS: the tag's. ARGV[2] how many at the most.
-- Answers how many. Everybody waits while it runs: the caller asks for few at once.
local parked, count = KEYS[FIXED + 1], 0
for _, id in ipairs(try('ZRANGE', parked, 0, ARGV[2] - 1) or {}) do
  local lane = lane_of(id)
  try('ZREM', parked, id)
  if lane and has(lane, PARKED) then
    make_due(lane)
    set(lane, PARKED, false)
    save_head(lane)
    count = count + 1
  elseif lane == false then
    try('ZADD', DUE, int(now), id)
  end
end
keep_lanes()
return { broken, count }
