-- Drops what is past its keep. After: of the finished jobs past their age or number so many are gone at the
-- most; of the segments of remembered deliveries, so many more were gone through.
-- ARGV[9] ms that finished jobs are kept, [10] rows of each sort. Answers how many rows went.
local rows_max = tonumber(ARGV[10])
local old = call('ZRANGEBYSCORE', DONE, '-inf', '(' .. int(now - ARGV[9]), 'LIMIT', 0, rows_max)
for _, ref in ipairs(old) do
  call('ZREM', DONE, ref)
  forget_job(ref)
end
local rows = #old + drop_surplus(rows_max)
return rows + tidy_seen(rows_max)
