-- Makes the people parked under a tag (its key) due, longest first. Returns how many, and how many it looked at.
local function release_parked(parked, most)
  local ids, count = try('ZRANGE', parked, 0, most - 1) or {}, 0
  for _, id in ipairs(ids) do
    local lane = lane_of(id)
    try('ZREM', parked, id)
    if lane and parked == ROOT .. 't:' .. lane.tag then
      release(lane)
      save_head(lane)
      count = count + 1
    elseif lane == false then
      -- A claim finds it, and skips it for a while.
      try('ZADD', DUE, int(now), id)
    end
  end
  return count, #ids
end
