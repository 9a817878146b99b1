-- A sketch: remembers several deliveries and queues their jobs, and writes what they have in common by one
-- command each. Only for deliveries of one hire each that are new, of people without a lane; any other is
-- refused, and with it all.
-- ARGV[9..]: of each delivery the number of its arguments, and these as accept.lua has them.
local firsts, at = {}, 9
while at <= #ARGV do
  local n = tonumber(ARGV[at])
  firsts[#firsts + 1] = at
  at = at + n + 1
end
local keys, persons = {}, {}
for n, at in ipairs(firsts) do
  keys[n] = ARGV[at + 1]
  persons[n] = ARGV[at + 9]
end
local known = call('HMGET', SEEN, unpack(keys))
local lanes = call('HMGET', LANE, unpack(persons))
local counts = call('HMGET', CTL, 'live', 'seq')
local live, seq = tonumber(counts[1] or 0), tonumber(counts[2] or 0)
local job_rows, due_rows, lane_rows, seen_rows, order_rows, ids, answers = {}, {}, {}, {}, {}, {}, {}
local seen_now, lane_now = {}, {}
local now_text = int(now)
for n, at in ipairs(firsts) do
  local key, fingerprint, id = ARGV[at + 1], ARGV[at + 2], ARGV[at + 7]
  local kind, person, event = ARGV[at + 8], ARGV[at + 9], ARGV[at + 10]
  if known[n] or seen_now[key] or lanes[n] or lane_now[person] or live >= tonumber(ARGV[at + 4]) then
    return damaged('a delivery that the sketch cannot take')
  end
  seen_now[key], lane_now[person] = true, true
  seq = seq + 1
  live = live + 1
  local ref = ref_of(seq, id)
  local k = #job_rows
  job_rows[k + 1], job_rows[k + 2] = id, kind .. ' ' .. int(seq) .. ' ' .. now_text .. '\n' .. person .. '\n' .. event
  due_rows[k + 1], due_rows[k + 2] = now_text, ref
  lane_rows[k + 1], lane_rows[k + 2] = person, 'd' .. kind .. ref .. '1 0 0'
  local until_ms = int(now + ARGV[at + 3])
  seen_rows[k + 1], seen_rows[k + 2] = key, until_ms .. ' ' .. fingerprint .. id
  order_rows[n] = until_ms .. ' ' .. key
  ids[n] = id
  answers[n] = { 's' }
end
call('HSET', JOB, unpack(job_rows))
call('ZADD', DUE_H, unpack(due_rows))
call('HSET', LANE, unpack(lane_rows))
call('HSET', SEEN, unpack(seen_rows))
call('RPUSH', SEEN_ORDER, unpack(order_rows))
-- The ids in order, as one piece behind those of the last segment; where others came between, one by one.
call('HSET', CTL, 'live', int(live), 'seq', int(seq))
table.sort(ids, function(a, b) return is_below(a, 1, b, 1) end)
local name, segment = segment_of(ids[1])
if not name then
  name, segment = ids[1], ''
  call('ZADD', LIVE_ORDER, 0, name)
end
local at_end = #segment == 0 or is_below(segment, #segment - 15, ids[1], 1)
if at_end then
  local n = 1
  while n <= #ids do
    local room = (SEGMENT_BYTES - #segment) / 16
    local take = math.min(room, #ids - n + 1)
    if take > 0 then
      segment = segment .. table.concat(ids, '', n, n + take - 1)
      call('HSET', LIVE, name, segment)
      n = n + take
    end
    if n <= #ids then
      name, segment = ids[n], ''
      call('ZADD', LIVE_ORDER, 0, name)
    end
  end
else
  for _, id in ipairs(ids) do add_live(id) end
  call('HINCRBY', CTL, 'live', -#ids)
end
wakes = true
wake()
return answers
