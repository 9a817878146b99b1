-- Forgets the stories of people who have been idle for long, a few at once. CTL tidied: up to which stamp of IDLE it
-- is done. ARGV[2] ms for which they are kept, [3] how many people at the most. Answers how many stories went.
local before, count = now_us - ARGV[2] * 1000, 0
local after = call('HGET', CTL, 'tidied') or '0'
local rows = try('ZRANGE', IDLE, '(' .. after, int(before), 'BYSCORE', 'LIMIT', 0, ARGV[3], 'WITHSCORES') or {}
for n = 1, #rows, 2 do
  count = count + call('DEL', ROOT .. 's' .. rows[n])
  after = rows[n + 1]
end
if #rows > 0 then call('HSET', CTL, 'tidied', after) end
keep_time()
return { broken, count }
