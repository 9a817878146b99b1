-- Drops a dead letter for good. Before: a dead letter. After: it is gone; what was parked behind it goes
-- on. Or nothing changed.
-- ARGV[9] id. Answers done or missing.
local as, text = ended_as(ARGV[9])
if as == 'u' then
  drop_unmapped(ARGV[9], text)
  return 'done'
end
local job = as == 'x' and find_job(ARGV[9])
if not job then return 'missing' end
local lane = load_lane(job.person)
raise(job)
call('HDEL', JOB, job.id)
unpark(lane, job.kind)
save_lane(lane)
wake()
return 'done'
