-- Takes in what another store holds. After: what was not known is there, and is remembered by its mark; what
-- was known is as it was. Or, where that is asked for, nothing changed.
-- ARGV[9] 1 to write, 0 to look only, [10] ms for which marks are remembered, then of each record a letter and:
--   h hold       mark, scope, code, since, next or '', probes
--   p person     person, entry (JSON), in_line_at
--   u unmapped   mark, id, ended, person or ''
--   x dead job   mark, id, ended, kind, seq, person, job
--   w waiting    mark, id, due, kind, seq, person, job
--   d finished   id, ended, at, seq, person, job
--   s delivery   key, fingerprint, until, ids
-- Answers a text with a letter for each: t (taken in; looking only: missing), or k (known).
local writes = ARGV[9] == '1'
local marked_until = now + ARGV[10]
local at = 10
local function arg()
  at = at + 1
  return ARGV[at]
end
local function args(n)
  at = at + n
  return unpack(ARGV, at - n + 1, at)
end

local function is_marked(mark)
  return (find_seen(mark) or 0) > now
end

local function is_there(id)
  return call('HGET', JOB, id) or call('HGET', ENDED, id)
end

local function mark_it(mark)
  remember(mark, marked_until, 'scim-bridge copy', '')
end

-- The job with its place among all.
local function place(id, seq, job)
  call('HSET', JOB, id, job)
  if tonumber(seq) > (tonumber(call('HGET', CTL, 'seq')) or 0) then call('HSET', CTL, 'seq', seq) end
  return ref_of(seq, id)
end

-- Each answers whether the record was known.
local take = {
  h = function()
    local mark, scope, code, since, next_at, probes = args(6)
    local hold = load_hold(scope)
    if hold.code or is_marked(mark) then return true end
    if not writes then return false end
    hold.code, hold.since, hold.next, hold.probes = code, tonumber(since), tonumber(next_at), tonumber(probes)
    save_hold(hold)
    mark_it(mark)
  end,
  p = function()
    local person, entry, in_line_at = args(3)
    local there = tonumber(string.match(call('HGET', DIRECTORY, person) or '', '"in_line_at":(-?%d+)'))
    if there and there >= tonumber(in_line_at) then return true end
    if writes then call('HSET', DIRECTORY, person, entry) end
  end,
  u = function()
    local mark, id, ended, person = args(4)
    if is_there(id) or is_marked(mark) then return true end
    if not writes then return false end
    call('HSET', ENDED, id, ended)
    call('ZADD', DEAD, 0, id)
    if person ~= '' then call('ZADD', UNMAPPED, 0, person .. '\n' .. id) end
    mark_it(mark)
  end,
  x = function()
    local mark, id, ended, kind, seq, person, job = args(7)
    if is_there(id) or is_marked(mark) then return true end
    if not writes then return false end
    local lane = load_lane(person)
    local ref = place(id, seq, job)
    call('HSET', ENDED, id, ended)
    call('ZADD', DEAD, 0, id)
    call('ZADD', KEPT, 0, person .. '\n' .. ref)
    if kind == 'h' then
      lane.parks = lane.parks + 1
      if lane.state ~= 'l' then
        if lane.state == 'd' then call('ZADD', QUEUE, 0, person .. '\n' .. lane.ref) end
        lane.state, lane.kind, lane.ref = 'p', '-', NOBODY
      end
      save_lane(lane)
    end
    mark_it(mark)
  end,
  w = function()
    local mark, id, due, kind, seq, person, job = args(7)
    if is_there(id) or is_marked(mark) then return true end
    if not writes then return false end
    local lane = load_lane(person)
    local ref = place(id, seq, job)
    add_live(id)
    enter(lane, ref, kind)
    if lane.state == 'd' and lane.ref == ref then lane.at = tonumber(due) end
    save_lane(lane)
    mark_it(mark)
  end,
  d = function()
    local id, ended, done_at, seq, person, job = args(6)
    if is_there(id) then return true end
    if not writes then return false end
    local ref = place(id, seq, job)
    call('HSET', ENDED, id, ended)
    call('ZADD', KEPT, 0, person .. '\n' .. ref)
    call('ZADD', DONE, done_at, ref)
    call('ZADD', DONE_IDS, 0, id)
  end,
  s = function()
    local key, fingerprint, until_ms, ids = args(4)
    local there = find_seen(key)
    if there and (there > now or there >= tonumber(until_ms)) then return true end
    if writes then remember(key, tonumber(until_ms), fingerprint, ids) end
  end,
}

local fates = {}
while at < #ARGV do fates[#fates + 1] = take[arg()]() and 'k' or 't' end
write_seen()
wake()
return table.concat(fates)
