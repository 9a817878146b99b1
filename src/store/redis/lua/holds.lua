-- Holds, with what is remembered of them: a hash a scope. Fields, each only where there is something:
-- code, since, next (of a probe; none for an operator's), probes: the hold in force;
-- trial (fence of the trial's lease, or 'probe'), trial_until: the last handed out and not settled;
-- lifted, lifted_probes, lifted_at: the last hold that a trial lifted;
-- ended: when the last hold of the scope ended, however it did.
local FIELDS = { 'code', 'since', 'next', 'probes', 'trial', 'trial_until', 'lifted', 'lifted_probes', 'lifted_at', 'ended' }
local WORDS = { code = true, trial = true, lifted = true }

local function hold_key(scope)
  return scope == 'all' and HOLD_ALL or HOLD_CREATES
end

local function load_hold(scope)
  local values = call('HMGET', hold_key(scope), unpack(FIELDS))
  local hold = { scope = scope }
  for n, field in ipairs(FIELDS) do
    if values[n] then hold[field] = WORDS[field] and values[n] or tonumber(values[n]) end
  end
  return hold
end

local function save_hold(hold)
  local set, gone = {}, {}
  for _, field in ipairs(FIELDS) do
    local value = hold[field]
    if value == nil then
      gone[#gone + 1] = field
    else
      set[#set + 1] = field
      set[#set + 1] = WORDS[field] and value or int(value)
    end
  end
  if #gone > 0 then call('HDEL', hold_key(hold.scope), unpack(gone)) end
  if #set > 0 then call('HSET', hold_key(hold.scope), unpack(set)) end
end

-- The pause before the next probe, after so many.
local function pause_after(probes)
  return math.min(ARGV[6] * 2 ^ math.min(probes, 50), tonumber(ARGV[7]))
end

-- As it is told: code, since, next ('' for none), probes.
local function told_hold(hold)
  return { hold.scope, hold.code, int(hold.since), hold.next and int(hold.next) or '', int(hold.probes) }
end

-- These have no probe, give way to no other, and are lifted by an operator only.
local BY_HAND = { ['HOLD-OPERATOR'] = true, ['HOLD-COPIED'] = true }

local function set_hold(scope, code)
  local hold = load_hold(scope)
  -- The one that stands stays where it has the same code, or where only an operator lifts it.
  if hold.code and (hold.code == code or BY_HAND[hold.code]) then return hold end
  local probes = 0
  -- Lifted by a trial and back at once: it goes on where it was, so that it does not flap.
  if hold.lifted == code and now - hold.lifted_at <= tonumber(ARGV[7]) then probes = hold.lifted_probes end
  hold = { scope = scope, code = code, since = now, probes = probes, ended = hold.ended }
  if not BY_HAND[code] then hold.next = now + pause_after(probes) end
  save_hold(hold)
  return hold
end

-- When the next trial or probe may be handed out; none where there is no hold, or an operator's.
local function probe_at(hold)
  return hold.code and hold.next and math.max(hold.next, hold.trial and hold.trial_until or hold.next) or nil
end

-- Notes that a trial (with its lease's fence) or a probe ('probe') was handed out.
local function hand_out(hold, trial, until_ms)
  hold.probes = hold.probes + 1
  hold.next = now + pause_after(hold.probes)
  hold.trial, hold.trial_until = trial, until_ms
  save_hold(hold)
end

-- Ends a trial or a probe. One that is not the last handed out, or whose hold is another by now, says
-- nothing about this hold. True where the hold is lifted by it.
local function end_trial(scope, trial, result)
  local hold = load_hold(scope)
  if hold.trial ~= trial then return false end
  hold.trial, hold.trial_until = nil, nil
  local lifts = result == 'passed' and hold.code ~= nil
  if lifts then
    hold.lifted, hold.lifted_probes, hold.lifted_at, hold.ended = hold.code, hold.probes, now, now
    hold.code, hold.since, hold.next, hold.probes = nil, nil, nil, nil
  end
  save_hold(hold)
  return lifts
end

-- Since when jobs of this kind have not been held (now, where they are); nil: they never were.
local function free_since(kind, all, creates)
  local free
  for _, hold in ipairs(kind == 'h' and { all, creates } or { all }) do
    local at = hold.code and now or hold.ended
    if at then free = math.max(free or at, at) end
  end
  return free
end
