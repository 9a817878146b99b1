-- Gives out people: those whose lease expired, then those who are due, longest first; or the one who has been parked
-- longest under a tag. After: each of them is leased under its own fence. If the worker never got the answers to some
-- earlier claims, what these leased is first given back. An unreadable lane is skipped for a while, and reported.
-- ARGV[2] worker, [3] number of this claim, [4] number of the first claim whose answer the worker never got, or '',
-- [5] max people, [6] ms of the leases, [7] max entries of each, [8] tag or ''.
-- Returns now, until when nobody can be claimed or '', then for each: ID, fence, end of the lease, whether taken over,
-- inbox, document or nil.
local worker, number, lost_from = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local people_max, lease_ms, entries_max = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local parked = ARGV[8] ~= '' and ROOT .. 't:' .. ARGV[8]
-- How long such a lane is skipped: short enough that a repaired one is soon found, long enough not to fill the log.
local ASIDE_MS = 600000
local INBOX_BYTES_MAX, ANSWER_BYTES_MAX = 1048576, 8388608
local given, bytes, fence = {}, 0, nil

if lost_from then
  local leases = try('HGETALL', LEASED) or {}
  for n = 1, #leases, 2 do
    local read, _, _, _, claim, at = pcall(struct.unpack, '>BI7I6I7', leases[n + 1])
    if read and claim >= lost_from and claim < number and string.sub(leases[n + 1], at) == worker then
      local lane = lane_of(leases[n])
      if lane and lane.state == 'r' then
        make_due(lane, now)
        save_head(lane)
      end
    end
  end
  flush_fresh()
end

-- The next ones, at most this many.
local function next_people(most)
  if parked then return try('ZRANGE', parked, 0, 0) or {} end
  local found = try('ZRANGE', LEASES, '-inf', int(now), 'BYSCORE', 'LIMIT', 0, most) or {}
  most = most - #found
  if most == 0 then return found end
  local rows = fresh_rows(0, most, 64)
  local due = try('ZRANGE', DUE, '-inf', int(now), 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES') or {}
  for n = 1, #due, 2 do rows[#rows + 1] = row_of(tonumber(due[n + 1]), due[n]) end
  table.sort(rows, comes_before)
  for n = 1, math.min(most, #rows) do found[#found + 1] = rows[n][4] end
  return found
end

-- No claim finds them until then.
local function set_aside(id, lane)
  if parked then try('ZREM', parked, id) end
  try('ZREM', LEASES, id)
  try('ZREM', DUE, id)
  if lane and has(lane, IS_FRESH) then
    try('LREM', FRESH, 1, struct.pack('>I6', lane.since) .. id)
  elseif not lane then
    for _, row in ipairs(fresh_rows(0, people_max)) do
      if row[4] == id then try('LREM', FRESH, 1, struct.pack('>I6', row[1]) .. id) end
    end
  end
  if lane ~= nil then try('ZADD', DUE, int(now + ASIDE_MS), id) end
end

-- Whether they could be given out.
local function give(id)
  local lane = lane_of(id)
  local inbox, document
  if lane then
    inbox = first_entries(lane, function(n, _, upto)
      return n <= entries_max and (n == 1 or upto <= INBOX_BYTES_MAX)
    end)
    document = try('GET', ROOT .. 'd' .. id)
  end
  if not inbox or document == nil then return set_aside(id, lane) end
  local taken_over = lane.state == 'r'
  leave(lane)
  -- One that was skipped, and can be read again.
  try('ZREM', DUE, id)
  fence = math.max((fence or tonumber(call('HGET', CTL, 'fence') or 0)) + 1, now * 256)
  lane.state, lane.since, lane.due = 'r', now, 0
  set(lane, WAKES, true)
  try('ZADD', LEASES, int(now + lease_ms), id)
  try('HSET', LEASED, id, struct.pack('>BI7I6I7', 1, fence, now, number) .. worker)
  save_head(lane)
  given[#given + 1] = { id, fence, now + lease_ms, taken_over and 1 or 0, inbox, document }
  bytes = bytes + #inbox + #(document or '')
end

local found = {}
repeat
  found = people_max > #given and next_people(people_max - #given) or {}
  for _, id in ipairs(found) do
    if bytes < ANSWER_BYTES_MAX then give(id) end
  end
until #found == 0 or bytes >= ANSWER_BYTES_MAX or parked and #given > 0
if fence then call('HSET', CTL, 'fence', int(fence)) end
keep_lanes()
local times = {}
for _, place in ipairs({ LEASES, DUE }) do
  local score = (try('ZRANGE', place, 0, 0, 'WITHSCORES') or {})[2]
  if score then times[#times + 1] = tonumber(score) end
end
local first = try('LINDEX', FRESH, 0)
if first then times[#times + 1] = struct.unpack('>I6', first) end
return { broken, now, #times > 0 and math.min(unpack(times)) or '', unpack(given) }
