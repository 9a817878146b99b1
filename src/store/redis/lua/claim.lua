-- Gives out lanes. Before: lanes due, or leased to somebody whose lease ran out. After: each one given out
-- is leased under a fence of its own, a token was taken for its first call, and its job is counted as
-- attempted first (or taken over); or a hold's probe is out; or nothing changed but the time that is kept. What
-- earlier claims of the worker leased, whose answers it does not know, was given back before.
-- In this order: what a hold gates; leases that ran out; what is due, the oldest first.
-- ARGV[9] jobs at the most (0: nothing is given out), [10] ms of the leases, [11] worker, [12] number of its
-- claim, [13] the first of its claims whose answers it does not know, or ''.
-- Answers j with (id, job, person, fence, until, trial or '', directory or '') a job; p with the scope; w
-- with until or '', and what is waited for. `now` is second, the jobs that were set aside (by number) third.
local jobs_max, lease_ms = tonumber(ARGV[9]), tonumber(ARGV[10])
local worker, number = ARGV[11], ARGV[12]
-- Long enough not to fill the log, short enough that a repaired record is soon found.
local SET_ASIDE_MS = 3600000
local TOKEN_OF = { h = 'write', r = 'read' }
local BOTH = { 'h', 'r' }
local DUE, LEASE = { h = DUE_H, r = DUE_R }, { h = LEASE_H, r = LEASE_R }
local all, creates = load_hold('all'), load_hold('creates')
local given, no_token, aside = {}, {}, {}

-- The job and the lane of what is due or leased; nil where one of them is not there or does not read.
local function find(ref)
  local job = find_job(id_of(ref))
  if not job then return nil end
  local lane = read_lane(job.person)
  if lane and lane.ref == ref then return job, lane end
end

-- What cannot be read stops nobody else: it is looked at again later.
local function set_aside(set, ref)
  call('ZADD', set, int(now + SET_ASIDE_MS), ref)
  aside[#aside + 1] = int(seq_of(ref))
end

-- Gives back what the worker's claims since then leased: nobody has heard of it. Few are leased at a time
-- (as many as the workers have hands), and this is done after failures only.
local function give_back(since)
  for _, set in ipairs({ LEASE_H, LEASE_R }) do
    for _, ref in ipairs(call('ZRANGE', set, 0, -1)) do
      local job, lane = find(ref)
      local by, n = string.match(lane and lane.claim or '', '^(.*)%.(%d+)$')
      if by == worker and tonumber(n) >= since and tonumber(n) < tonumber(number) then
        for _, hold in ipairs({ all, creates }) do
          if end_trial(hold.scope, lane.fence, 'failed') then wakes = true end
        end
        undo_attempt(job)
        save_job(job)
        advance(lane, job)
        save_lane(lane)
      end
    end
  end
  all, creates = load_hold('all'), load_hold('creates')
end

-- Never one that was given out before: not even where the counter went back, as after a fail-over that
-- lost writes. So fences grow by at least 256 a ms, which is more than any server claims.
local function next_fence()
  local fence = math.max(tonumber(call('HGET', CTL, 'fence') or 0) + 1, now * 256)
  call('HSET', CTL, 'fence', int(fence))
  return int(fence)
end

local function candidates(sets, kinds, room)
  local found = {}
  for _, kind in ipairs(kinds) do
    local rows = call('ZRANGEBYSCORE', sets[kind], '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, room)
    for n = 1, #rows, 2 do
      found[#found + 1] = { ref = rows[n], kind = kind, at = tonumber(rows[n + 1]), seq = seq_of(rows[n]) }
    end
  end
  if #kinds > 1 then
    table.sort(found, function(a, b)
      if a.at ~= b.at then return a.at < b.at end
      return a.seq < b.seq
    end)
  end
  return found
end

local function lease(one, job, lane, trial_of)
  if one.taken_over then
    job.take_overs = job.take_overs + 1
    extend_history(job, '{"at":' .. int(now) .. ',"note":"taken_over"}')
  end
  -- A hold harms no job: the time to give up begins anew after it.
  local first = tonumber(job.first) or now
  if job.first ~= '-' then first = math.max(first, free_since(one.kind, all, creates) or first) end
  job.first = int(first)
  local text = save_job(job)
  local fence = next_fence()
  lane.state, lane.kind, lane.fence, lane.at = 'l', one.kind, fence, now + lease_ms
  lane.claim = worker .. '.' .. number
  save_lane(lane)
  if trial_of then hand_out(trial_of, fence, now + lease_ms) end
  given[#given + 1] = { job.id, text, job.person, fence, int(now + lease_ms), trial_of and trial_of.scope or '',
    call('HGET', DIRECTORY, job.person) or '' }
end

-- Gives out lanes of these kinds, as many as there is room for (one, where it is a trial).
local function give(kinds, trial_of)
  for _, sets in ipairs({ LEASE, DUE }) do
    local room = trial_of and 1 or jobs_max - #given
    if room <= 0 then return end
    for _, one in ipairs(candidates(sets, kinds, room)) do
      if #given >= jobs_max or (trial_of and #given > 0) then return end
      local token = TOKEN_OF[one.kind]
      if not no_token[token] then
        local job, lane = find(one.ref)
        one.taken_over = sets == LEASE
        local not_before = job and take_token(token)
        if not job then
          set_aside(sets[one.kind], one.ref)
        elseif not_before then
          no_token[token] = not_before
          no_token.first = no_token.first or token
        else
          lease(one, job, lane, trial_of)
        end
      end
    end
  end
end

local function next_at(kind)
  local next
  for _, set in ipairs({ DUE[kind], LEASE[kind] }) do
    local row = call('ZRANGE', set, 0, 0, 'WITHSCORES')
    if row[2] then next = math.min(next or tonumber(row[2]), tonumber(row[2])) end
  end
  return next
end

-- Why there is nothing, and until when.
local function wait()
  local soonest, held
  local function earlier(at)
    if at and at > now then soonest = math.min(soonest or at, at) end
  end
  for _, token in ipairs({ 'write', 'read' }) do
    local at = no_token[token]
    if at then soonest = math.min(soonest or at, at) end
  end
  -- A probe is made whether or not a job is there for it.
  if all.code then earlier(probe_at(all)) end
  for _, kind in ipairs(BOTH) do
    local next = next_at(kind)
    if next then
      if all.code then
        held = held or next <= now
      elseif kind == 'h' and creates.code then
        held = held or next <= now
        local at = probe_at(creates)
        earlier(at and math.max(at, next))
      else
        earlier(next)
      end
    end
  end
  local reason = no_token.first or (held and 'hold') or 'nothing'
  -- Those that were set aside may have stood before others.
  if #aside > 0 then soonest = now end
  return { 'w', int(now), aside, soonest and int(soonest) or '', reason }
end

-- No job is there to be the trial: a harmless call is.
local function probe()
  local not_before = take_token('read')
  if not_before then
    no_token.read = not_before
    no_token.first = no_token.first or 'read'
    return wait()
  end
  hand_out(all, 'probe', now + lease_ms)
  return { 'p', int(now), aside, 'all' }
end

local answer
if ARGV[13] ~= '' then give_back(tonumber(ARGV[13])) end
if jobs_max == 0 then
  answer = wait()
elseif all.code then
  local at = probe_at(all)
  if at and at <= now then
    if all.code == 'HOLD-PLAN' or all.code == 'HOLD-SEATS' then
      -- Postman documents these for POST only: another call may pass although they stand.
      give({ 'h' }, all)
      -- A Hire that is merely short of a token is waited for.
      if #given == 0 and not no_token.write then give({ 'r' }, all) end
    elseif creates.code then
      give({ 'r' }, all)
    else
      give(BOTH, all)
    end
    if #given == 0 and not no_token.first and #aside == 0 then answer = probe() end
  end
elseif creates.code then
  local at = probe_at(creates)
  if at and at <= now then give({ 'h' }, creates) end
  give({ 'r' })
else
  give(BOTH)
end
if not answer then
  if #given == 0 then
    answer = wait()
  else
    answer = { 'j', int(now), aside }
    for _, one in ipairs(given) do answer[#answer + 1] = one end
  end
end
save_clocks()
keep_clock()
wake()
return answer
