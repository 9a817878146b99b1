-- Forgets the stories of people who have been idle for long, a few at once. CTL tidied: since when those were idle
-- for whom it is done. ARGV[2] ms for which they are kept, [3] how many people at most. Answers how many entries
-- went, and whether there is more to do. What is forgotten does not come back: the clock must be steady, and time that
-- is ahead of it does not count.
if not is_steady() then
  keep_time()
  return { broken, 0, 0 }
end
local before, count = int(math.max(math.min(now, math.floor(clock_us / 1000)) - ARGV[2], 0)), 0
local after = call('HGET', CTL, 'tidied') or '0'
local last = (try('ZRANGE', IDLE, '(' .. after, before, 'BYSCORE', 'LIMIT', ARGV[3] - 1, 1, 'WITHSCORES') or {})[2] or before
for _, id in ipairs(try('ZRANGE', IDLE, '(' .. after, last, 'BYSCORE') or {}) do
  local story = ROOT .. 's' .. id
  local entries = try('LLEN', story) or 0
  if entries > 0 then
    call('DEL', story)
    try('HINCRBY', ROOT .. 'k' .. id, '#', entries)
    count = count + entries
  end
end
if tonumber(last) > tonumber(after) then call('HSET', CTL, 'tidied', last) end
keep_time()
return { broken, count, tonumber(last) < tonumber(before) and 1 or 0 }
