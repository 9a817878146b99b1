-- Prolongs a lease. KEYS: the lane. ARGV[2] fence, [3] ms. Answers now and its end; or nothing: it is lost.
local lane = read_lane(KEYS[FIXED + 1])
if not lane or lane.state ~= 'r' or lane.stamp ~= tonumber(ARGV[2]) then return { broken } end
lane.due = now + ARGV[3]
try('ZADD', DUE, int(lane.due), lane.id)
save_head(lane)
keep_time()
return { broken, now, lane.due }
