-- Extends a lease. KEYS: the lane. ARGV[2] fence, [3] ms. Returns now and its end; or nothing: it is lost.
local lane = leased_lane(KEYS[FIXED + 1], ARGV[2])
if not lane then return { broken } end
try('ZADD', LEASES, int(now + ARGV[3]), lane.id)
keep_time()
return { broken, now, now + ARGV[3] }
