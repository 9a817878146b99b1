-- Gives out lanes. Before: lanes due, or leased to somebody whose lease ran out. After: each one given out
-- is leased under a fence of its own, a token was taken for its first call, and its job is counted as
-- attempted first (or taken over); or a hold's probe is out; or nothing changed.
-- In this order: what a hold gates; leases that ran out; what is due, the oldest first.
-- ARGV[9] jobs at the most, [10] ms of the leases.
-- Answers j with (id, job, fence, until, trial or '', directory or '') a job; p with now and the scope;
-- w with until or '', and what is waited for. `now` is second.
local jobs_max, lease_ms = math.max(tonumber(ARGV[9]), 1), tonumber(ARGV[10])
local TOKEN_OF = { h = 'write', r = 'read' }
local BOTH = { 'h', 'r' }
local DUE, LEASE = { h = DUE_H, r = DUE_R }, { h = LEASE_H, r = LEASE_R }
local all, creates = load_hold('all'), load_hold('creates')
local given, no_token, broken = {}, {}, nil

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

local function lease(one, job, trial_of)
  if one.taken_over then
    job.take_overs = job.take_overs + 1
    extend_history(job, '{"at":' .. int(now) .. ',"note":"taken_over"}')
  end
  -- A hold harms no job: the time to give up begins anew after it.
  local first = tonumber(job.first) or now
  if job.first ~= '-' then first = math.max(first, free_since(one.kind, all, creates) or first) end
  job.first = int(first)
  local text = save_job(job)
  local lane = load_lane(job.person)
  local fence = int(call('HINCRBY', CTL, 'fence', 1))
  lane.state, lane.kind, lane.ref, lane.fence, lane.at = 'l', one.kind, one.ref, fence, now + lease_ms
  save_lane(lane)
  if trial_of then hand_out(trial_of, fence, now + lease_ms) end
  given[#given + 1] = { job.id, text, fence, int(now + lease_ms), trial_of and trial_of.scope or '',
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
        local job = find_job(id_of(one.ref))
        if not job then
          broken = one.ref
          return
        end
        one.taken_over = sets == LEASE
        local not_before = take_token(token)
        if not_before then
          no_token[token] = not_before
          no_token.first = no_token.first or token
        else
          lease(one, job, trial_of)
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
  return { 'w', int(now), soonest and int(soonest) or '', reason }
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
  return { 'p', int(now), 'all' }
end

local answer
if all.code then
  local at = probe_at(all)
  if at and at <= now then
    if all.code == 'HOLD-PLAN' or all.code == 'HOLD-SEATS' then
      -- Postman documents these for POST only: another call may pass although they stand.
      give({ 'h' }, all)
      if #given == 0 then give({ 'r' }, all) end
    elseif creates.code then
      give({ 'r' }, all)
    else
      give(BOTH, all)
    end
    if #given == 0 and not no_token.first and not broken then answer = probe() end
  end
elseif creates.code then
  local at = probe_at(creates)
  if at and at <= now then give({ 'h' }, creates) end
  give({ 'r' })
else
  give(BOTH)
end
if broken and #given == 0 then return damaged('a lane points at job ' .. seq_of(broken) .. ', which is not there') end
if not answer then
  if #given == 0 then
    answer = wait()
  else
    answer = { 'j', int(now) }
    for _, one in ipairs(given) do answer[#answer + 1] = one end
  end
end
save_clocks()
return answer
