-- Gives out people. Before: due, or leased to somebody whose lease ran out; or parked under the tag that is asked
-- for. After: each one given out is leased under a fence of its own. What earlier claims of the worker leased,
-- whose answers it does not know, was given back before. What does not read is set aside for a while, and told.
-- LEASED: ID -> format (1), fence (7), number of the claim (7), worker.
-- ARGV[2] worker, [3] number of its claim, [4] the first of those whose answers it does not know, or '', [5] people
-- at the most, [6] ms of the leases, [7] entries of each at the most, [8] tag or ''.
-- Answers now, until when nobody is to be had or '', then of each: ID, fence, end of the lease, whether taken over,
-- inbox, document or nil.
local worker, number, lost_from = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local people_max, lease_ms, entries_max = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local parked = ARGV[8] ~= '' and ROOT .. 't:' .. ARGV[8]
-- Short enough that a record that is mended is soon found, long enough not to fill the log.
local ASIDE_MS = 600000
local INBOX_BYTES_MAX, ANSWER_BYTES_MAX = 1048576, 8388608
local given, bytes = {}, 0

if lost_from then
  local leases = try('HGETALL', LEASED) or {}
  for n = 1, #leases, 2 do
    local read, _, _, claim, at = pcall(struct.unpack, '>BI7I7', leases[n + 1])
    if read and claim >= lost_from and claim < number and string.sub(leases[n + 1], at) == worker then
      local lane = lane_of(leases[n])
      if lane and lane.state == 'r' then
        leave(lane)
        stand(lane, 'w', now)
        save_head(lane)
      end
    end
  end
  flush_fresh()
end

-- The next so many, the longest due first: ID, and whether it is the first of FRESH by then.
local function next_people(most)
  if parked then
    local ids = try('ZRANGE', parked, 0, most - 1) or {}
    for n, id in ipairs(ids) do ids[n] = { id } end
    return ids
  end
  local found, f, d = {}, 1, 1
  local rows = try('LRANGE', FRESH, 0, most - 1) or {}
  local due = try('ZRANGE', DUE, '-inf', int(now), 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES') or {}
  while #found < most and (rows[f] or due[d]) do
    local since = rows[f] and math.floor(struct.unpack('>I7', rows[f]) / 1000)
    if since and not (due[d] and tonumber(due[d + 1]) < since) then
      found[#found + 1] = { string.sub(rows[f], 8), rows[f] }
      f = f + 1
    else
      found[#found + 1] = { due[d] }
      d = d + 2
    end
  end
  return found
end

local function set_aside(id)
  if parked then try('ZREM', parked, id) end
  try('ZADD', DUE, int(now + ASIDE_MS), id)
end

local function give(id, row)
  if row then call('LPOP', FRESH) end
  local lane = lane_of(id)
  if lane == nil or row and lane and fresh_row(lane) ~= row then
    -- Nobody is there (any more).
    if not row then try('ZREM', parked or DUE, id) end
    return
  end
  local inbox, document
  if lane then
    inbox = first_entries(lane, function(n, _, upto)
      return n <= entries_max and (n == 1 or upto <= INBOX_BYTES_MAX)
    end)
    document = try('GET', ROOT .. 'd' .. id)
  end
  if not inbox or document == nil then
    set_aside(id)
    return
  end
  local taken_over = lane.state == 'r'
  if row then set(lane, IS_FRESH, false) else leave(lane) end
  lane.state, lane.due, lane.stamp = 'r', now + lease_ms, next_stamp()
  try('ZADD', DUE, int(lane.due), id)
  try('HSET', LEASED, id, struct.pack('>BI7I7', 1, lane.stamp, number) .. worker)
  save_head(lane)
  given[#given + 1] = { id, lane.stamp, lane.due, taken_over and 1 or 0, inbox, document }
  bytes = bytes + #inbox + #(document or '')
end

local found
repeat
  found = next_people(people_max - #given)
  for _, one in ipairs(found) do
    if bytes < ANSWER_BYTES_MAX then give(one[1], one[2]) end
  end
until #found == 0 or #given >= people_max or bytes >= ANSWER_BYTES_MAX
local next_due = (try('ZRANGE', DUE, 0, 0, 'WITHSCORES') or {})[2] or ''
if (try('LLEN', FRESH) or 0) > 0 then next_due = int(now) end
keep_lanes()
return { broken, now, next_due, unpack(given) }
