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
-- In the order of their coming, which is that of their ends as long as all are remembered equally long;
-- one that is remembered longer than others lets those behind it stay a little longer, too.
local forgotten = 0
for _, row in ipairs(call('LRANGE', SEEN_ORDER, 0, rows_max - 1)) do
  local until_ms, at = string.match(row, '^(%d+) ()')
  if tonumber(until_ms) > now then break end
  local key = string.sub(row, at)
  local known = call('HGET', SEEN, key)
  -- Where it came again after its time, this row is an old one's.
  if known and string.sub(known, 1, at - 1) == string.sub(row, 1, at - 1) then call('HDEL', SEEN, key) end
  forgotten = forgotten + 1
end
if forgotten > 0 then call('LTRIM', SEEN_ORDER, forgotten, -1) end
return rows + forgotten
