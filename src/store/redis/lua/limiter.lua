-- The limiters' state: reads it, or replaces it if it is still the state that was read. `core/limiter.rs` judges.
-- CTL write_tat_us, read_tat_us: the theoretical arrival times, in us since the epoch.
-- ARGV[2], [3]: the state that was read; [4], [5]: the new one; none of the four only to read.
-- Returns now in us, both times, and whether they were written.
keep_time()
local tats, written = call('HMGET', CTL, 'write_tat_us', 'read_tat_us'), 0
tats = { tats[1] or '0', tats[2] or '0' }
if ARGV[4] and tats[1] == ARGV[2] and tats[2] == ARGV[3] then
  call('HSET', CTL, 'write_tat_us', ARGV[4], 'read_tat_us', ARGV[5])
  written = 1
end
return { broken, now_us, tats[1], tats[2], written }
