-- Drops what is past its keep. After: of the finished jobs past their age or number, and of the deliveries
-- past their time, so many are gone at the most.
-- ARGV[9] ms that finished jobs are kept, [10] rows of each sort. Answers how many rows went.
local rows_max = tonumber(ARGV[10])
local old = call('ZRANGEBYSCORE', DONE, '-inf', '(' .. int(now - ARGV[9]), 'LIMIT', 0, rows_max)
for _, ref in ipairs(old) do
  call('ZREM', DONE, ref)
  forget_job(ref)
end
local rows = #old + drop_surplus(rows_max)
local forgotten = 0
for _, bucket in ipairs(call('ZRANGEBYSCORE', SEEN_ORDER, '-inf', int(now), 'LIMIT', 0, rows_max)) do
  if forgotten >= rows_max then break end
  forgotten = forgotten + forget_seen(bucket)
end
return rows + forgotten
