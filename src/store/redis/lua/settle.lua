-- Ends an attempt. Before: a lease. After: its trial has ended, what was learnt is kept, and its job is
-- finished, dead, or waits again (with the hold set that it met); its lane is due, parked or empty. Or
-- the lease was lost, and nothing changed.
-- ARGV[9] person, [10] fence, [11] job's id, [12] trial's scope or '', [13] passed, failed or '', [14]
-- directory (JSON) or '', [15] new history (lines of JSON) or '', [16] the verdict and [17..] its fields:
--   done  outcome                    dead  progress, code, detail
--   retry progress, ms from now, counted (1 or 0)
--   hold  progress, scope, code      back  progress
--   aside ms from now: it cannot be read, and nothing is known of it
-- where progress is 3: create_unknown (1 or 0), not_found, username_refused.
-- Answers 1 (settled) or 0 (stale).
local person, fence, verdict = ARGV[9], ARGV[10], ARGV[16]
local lane = load_lane(person)
if not holds_lease(lane, fence, ARGV[11]) then return 0 end
local job = find_job(id_of(lane.ref))
if not job then return damaged('a lease points at job ' .. seq_of(lane.ref) .. ', which is not there') end
if ARGV[14] ~= '' then call('HSET', DIRECTORY, person, ARGV[14]) end
extend_history(job, ARGV[15])
-- The trial ends first: a hold that the verdict sets is a new one, or goes on.
if ARGV[12] ~= '' and end_trial(ARGV[12], fence, ARGV[13]) then wakes = true end

local function learn()
  job.create_unknown, job.not_found, job.username_refused = ARGV[17], ARGV[18], ARGV[19]
end

-- Out of its lane.
local function leave(ended)
  remove_live(job.id)
  call('HSET', ENDED, job.id, ended)
  call('ZADD', KEPT, 0, person .. '\n' .. job.ref)
  lane.queued = lane.queued - 1
end

local function put_back()
  learn()
  undo_attempt(job)
end

if verdict == 'done' then
  leave('d ' .. int(now) .. ' ' .. ARGV[17])
  call('ZADD', DONE, int(now), job.ref)
  call('ZADD', DONE_IDS, 0, job.id)
elseif verdict == 'dead' then
  learn()
  leave('x ' .. int(now) .. ' ' .. ARGV[20] .. '\n' .. ARGV[21])
  call('ZADD', DEAD, 0, job.id)
  if job.kind == 'h' then lane.parks = lane.parks + 1 end
elseif verdict == 'retry' then
  learn()
  job.due = int(now + ARGV[20])
  job.attempts = job.attempts + ARGV[21]
elseif verdict == 'aside' then
  job.due = int(now + ARGV[17])
elseif verdict == 'hold' then
  set_hold(ARGV[20], ARGV[21])
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
keep_clock()
wake()
return 1
