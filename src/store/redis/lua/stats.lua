-- Counts. Changes nothing.
-- Answers live, running, parked, dead, done, lanes, people, and since when the job is due that has been
-- due the longest, or ''; `now`.
local oldest
for _, set in ipairs({ DUE_H, DUE_R }) do
  local at = tonumber(call('ZRANGEBYSCORE', set, '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, 1)[2])
  if at then oldest = math.min(oldest or at, at) end
end
local running = call('ZCARD', LEASE_H) + call('ZCARD', LEASE_R)
local lanes = call('ZCARD', DUE_H) + call('ZCARD', DUE_R) + running + call('ZCOUNT', PARKED, 1, '+inf')
local counts = call('HMGET', CTL, 'live', 'parked')
return { tonumber(counts[1] or 0), running, tonumber(counts[2] or 0), call('ZCARD', DEAD),
  call('ZCARD', DONE), lanes, call('HLEN', DIRECTORY), oldest and int(oldest) or '', int(now) }
