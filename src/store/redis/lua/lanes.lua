-- A person's lane: loaded, moved from state to state, saved. A lane with anything in it, or with a dead
-- Hire before it, is in exactly one of due, leased, parked (DUE_*, LEASE_*, PARKED).
--
-- Its record: state (d, l, p), kind of its job (h, r), the job's reference (28 bytes), then in text:
-- queued (live jobs, its job included), parks (dead Hires before it), fence of the last claim, and that
-- claim while the lane is leased (`worker.number`; else `-`); whatever a newer version adds after them is
-- kept as it is. Where that would be `1 0 0 -`, as with most that wait, it is left out. A parked lane has no
-- job of its own ('-').
-- An idle lane (i) has no record. Live jobs that are not their lane's job are in QUEUE, as
-- `person LF ref`, in order.
local NOBODY = string.rep('-', 28)
local wakes = false

-- Where a lane of this state is, and as what.
local function place_of(lane)
  if lane.state == 'd' then return lane.kind == 'h' and DUE_H or DUE_R, lane.ref end
  if lane.state == 'l' then return lane.kind == 'h' and LEASE_H or LEASE_R, lane.ref end
  if lane.state == 'p' then return PARKED, lane.person end
end

-- A person's lane, of its record where it has one; nil: it does not read back.
local function parse_lane(person, text)
  local lane = { person = person, state = 'i', kind = '-', ref = NOBODY, queued = 0, parks = 0, fence = '0', claim = '-', newer = '' }
  if text then
    lane.state, lane.kind, lane.ref = string.sub(text, 1, 1), string.sub(text, 2, 2), string.sub(text, 3, 30)
    if not string.find(text, '^[dl][hr]') and not string.find(text, '^p%-') then return nil end
    if #text == 30 and lane.state == 'd' then
      lane.queued = 1
    else
      local queued, parks, fence, newer = string.match(text, '^(%d+) (%d+) (%d+)(.*)$', 31)
      if not queued then return nil end
      lane.queued, lane.parks, lane.fence = tonumber(queued), tonumber(parks), fence
      local claim, rest = string.match(newer, '^ (%S+)(.*)$')
      lane.claim, lane.newer = claim or '-', rest or newer
    end
  end
  if text then lane.was_set, lane.was_member = place_of(lane) end
  lane.was_parked = lane.state == 'p' and lane.queued or 0
  return lane
end

local function read_lane(person)
  return parse_lane(person, call('HGET', LANE, person))
end

local function load_lane(person)
  return read_lane(person) or error(damaged('a lane does not read back'))
end

local function lane_text(lane)
  local head, is_leased = lane.state .. lane.kind .. lane.ref, lane.state == 'l'
  if lane.queued == 1 and lane.parks == 0 and lane.fence == '0' and not is_leased and lane.newer == '' then
    return head
  end
  return head .. lane.queued .. ' ' .. lane.parks .. ' ' .. lane.fence .. ' ' .. (is_leased and lane.claim or '-')
    .. lane.newer
end

-- Writes the lane. `lane.at` is set where it moved: since when or from when it is due, until when leased.
local function save_lane(lane)
  local set, member = place_of(lane)
  if lane.was_set and (lane.was_set ~= set or lane.was_member ~= member) then
    call('ZREM', lane.was_set, lane.was_member)
  end
  local parked = 0
  if lane.state == 'p' then
    parked = lane.queued
    call('ZADD', PARKED, parked, member)
  elseif set and lane.at then
    call('ZADD', set, int(lane.at), member)
    wakes = wakes or lane.state == 'd'
  end
  if parked ~= lane.was_parked then call('HINCRBY', CTL, 'parked', parked - lane.was_parked) end
  if lane.state == 'i' then
    call('HDEL', LANE, lane.person)
  else
    call('HSET', LANE, lane.person, lane_text(lane))
  end
end

-- Whether this fence is the lane's own, and its job that one: a server that lost writes may have given the
-- lane's next job to somebody meanwhile.
local function holds_lease(lane, fence, id)
  return lane.state == 'l' and lane.fence == fence and id_of(lane.ref) == id
end

-- Tells those who wait for work, where there may be some. A hint: they look by themselves, too, so what
-- has been done is not taken for failed where it cannot be given.
local function wake()
  if wakes then redis.pcall('PUBLISH', WAKE, '') end
end

-- Puts a live job into the lane, that waits there from now.
local function enter(lane, ref, kind)
  lane.queued = lane.queued + 1
  local queued
  if lane.state == 'i' then
    lane.state, lane.kind, lane.ref, lane.at = 'd', kind, ref, now
  elseif lane.state == 'd' and seq_of(ref) < seq_of(lane.ref) then
    queued = lane.ref
    lane.kind, lane.ref, lane.at = kind, ref, now
  else
    queued = ref
  end
  if queued then call('ZADD', QUEUE, 0, lane.person .. '\n' .. queued) end
end

-- Finds out where the lane stands after its job was settled (`own` is that job, where it lives on), or a
-- dead Hire before it is gone: parked, or due with its first job.
local function advance(lane, own)
  if lane.parks > 0 then
    if own then call('ZADD', QUEUE, 0, lane.person .. '\n' .. own.ref) end
    lane.state, lane.kind, lane.ref = 'p', '-', NOBODY
    return
  end
  local head = own
  if lane.queued > (own and 1 or 0) then
    -- A control character sorts before whatever a person's key may go on with.
    local first = call('ZRANGEBYLEX', QUEUE, '[' .. lane.person .. '\n', '(' .. lane.person .. '\v', 'LIMIT', 0, 1)[1]
    local ref = first and string.sub(first, #lane.person + 2)
    if ref and not (own and seq_of(own.ref) < seq_of(ref)) then
      call('ZREM', QUEUE, first)
      if own then call('ZADD', QUEUE, 0, lane.person .. '\n' .. own.ref) end
      -- One that does not read is not passed over: a claim finds it, and sets it aside.
      head = find_job(id_of(ref)) or { kind = 'r', ref = ref, due = now }
    end
  end
  if head then
    lane.state, lane.kind, lane.ref, lane.at = 'd', head.kind, head.ref, math.max(tonumber(head.due), now)
  else
    lane.state, lane.kind, lane.ref = 'i', '-', NOBODY
  end
end
