-- Ends an attempt. Before: a lease. After: its trial has ended, what was learnt is kept, and its job is
-- finished, dead, or waits again (with the hold set that it met); its lane is due, parked or empty. Or
-- the lease was lost, and nothing changed.
-- ARGV[9] person, [10] fence, [11] trial's scope or '', [12] passed, failed or '', [13] directory (JSON) or
-- '', [14] new history (lines of JSON) or '', [15] the verdict and [16..] its fields:
--   done  outcome                    dead  progress, code, detail
--   retry progress, ms from now, counted (1 or 0)
--   hold  progress, scope, code      back  progress
-- where progress is 3: create_unknown (1 or 0), not_found, username_refused.
-- Answers 1 (settled) or 0 (stale).
local person, fence, verdict = ARGV[9], ARGV[10], ARGV[15]
local lane = load_lane(person)
if lane.state ~= 'l' or lane.fence ~= fence then return 0 end
local job = find_job(id_of(lane.ref))
if not job then return damaged('a lease points at job ' .. seq_of(lane.ref) .. ', which is not there') end
if ARGV[13] ~= '' then call('HSET', DIRECTORY, person, ARGV[13]) end
extend_history(job, ARGV[14])
-- The trial ends first: a hold that the verdict sets is a new one, or goes on.
if ARGV[11] ~= '' and end_trial(ARGV[11], fence, ARGV[12]) then wakes = true end

local function learn()
  job.create_unknown, job.not_found, job.username_refused = ARGV[16], ARGV[17], ARGV[18]
end

-- Out of its lane.
local function leave(ended)
  remove_live(job.id)
  call('HSET', ENDED, job.id, ended)
  call('ZADD', KEPT, 0, person .. '\n' .. job.ref)
  lane.queued = lane.queued - 1
end

-- Due at once, and as if it had not been tried: the time to give up starts with the first attempt that
-- counts.
local function put_back()
  learn()
  job.due = int(now)
  if tonumber(job.attempts) == 0 then job.first = '-' end
end

if verdict == 'done' then
  leave('d ' .. int(now) .. ' ' .. ARGV[16])
  call('ZADD', DONE, int(now), job.ref)
  call('ZADD', DONE_IDS, 0, job.id)
elseif verdict == 'dead' then
  learn()
  leave('x ' .. int(now) .. ' ' .. ARGV[19] .. '\n' .. ARGV[20])
  call('ZADD', DEAD, 0, job.id)
  if job.kind == 'h' then lane.parks = lane.parks + 1 end
elseif verdict == 'retry' then
  learn()
  job.due = int(now + ARGV[19])
  job.attempts = job.attempts + ARGV[20]
elseif verdict == 'hold' then
  set_hold(ARGV[19], ARGV[20])
  put_back()
else
  put_back()
end
save_job(job)
local lives = verdict ~= 'done' and verdict ~= 'dead'
advance(lane, lives and job or nil)
save_lane(lane)
-- More than one settlement adds, so that a lowered bound is reached.
if verdict == 'done' then drop_surplus(4) end
wake()
return 1
