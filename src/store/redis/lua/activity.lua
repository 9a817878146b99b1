-- Looks for signs of somebody at work. Changes nothing; those who listen look for work once more.
-- Answers leases that have not run out, listeners, and a number that grows with all that is done.
local leases = 0
for _, set in ipairs({ LEASE_H, LEASE_R }) do leases = leases + call('ZCOUNT', set, '(' .. int(now), '+inf') end
local steps = 0
for _, count in ipairs(call('HMGET', CTL, 'seq', 'fence', 'pings')) do steps = steps + (tonumber(count) or 0) end
return { leases, call('PUBLISH', WAKE, ''), steps }
