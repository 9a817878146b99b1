-- The lane of a lease; nil: the lease is lost. Only the worker's own fence is compared: an expired lease
-- is valid until another worker takes the lane over.
local function leased_lane(key, fence)
  local lease = try('HGET', LEASED, string.sub(key, -8))
  local read, format, own = pcall(struct.unpack, '>BI7', lease or '')
  if not read or format ~= 1 or own ~= tonumber(fence) then return nil end
  local lane = read_lane(key)
  return lane and lane.state == 'r' and lane or nil
end
