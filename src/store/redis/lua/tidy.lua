-- Forgets the stories of people who have long been idle, a few at once. CTL tidied: it is done for everybody who has
-- been idle since before then. ARGV[2] how many ms stories are kept, [3] max people. Returns how many entries were
-- removed, and whether there is more to do. What is forgotten does not come back: the clock must be steady, and time
-- that is ahead of it does not count.
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
