-- Puts a dead job back. Before: a dead letter. After: the job is in its place in its lane, due now, its
-- counts at zero and create_unknown kept; what was parked behind it goes on. Or nothing changed.
-- ARGV[9] id. Answers done, missing, or other (of another origin).
local as = ended_as(ARGV[9])
if as == 'u' then return 'other' end
local job = as == 'x' and find_job(ARGV[9])
if not job then return 'missing' end
local lane = load_lane(job.person)
extend_history(job, '{"at":' .. int(now) .. ',"note":"replayed"}')
job.due, job.attempts, job.take_overs, job.first, job.not_found, job.username_refused = int(now), 0, 0, '-', 0, 0
save_job(job)
raise(job)
add_live(job.id)
enter(lane, job.ref, job.kind)
unpark(lane, job.kind)
save_lane(lane)
wake()
return 'done'
