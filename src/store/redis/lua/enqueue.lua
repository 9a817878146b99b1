-- Puts new jobs at the ends of their lanes: `enqueue` for each, then `write_enqueued`, which writes what they
-- have in common by one command for all. Nothing is written before.
-- A new job is one text: kind (h or r), id (16 bytes), person, LF, event.
local lanes, changed, seq = {}, {}, nil
local new_jobs, new_queue, new_ids = {}, {}, {}
local now_text = int(now)

local function person_of(new)
  return string.sub(new, 18, string.find(new, '\n', 18, true) - 1)
end

-- A person's lane with the jobs that are not written yet; false: it does not read back.
local function lane_of(person)
  if lanes[person] == nil then lanes[person] = read_lane(person) or false end
  return lanes[person]
end

-- Reads the lanes of these people by few commands.
local function load_lanes(people)
  for at = 1, #people, WRITE_MAX do
    local past = math.min(at + WRITE_MAX, #people + 1)
    for n, text in ipairs(call('HMGET', LANE, unpack(people, at, past - 1))) do
      local person = people[at + n - 1]
      lanes[person] = parse_lane(person, text) or false
    end
  end
end

-- Before: the lane reads back. Answers the job's id.
local function enqueue(person, new)
  local kind, id = string.sub(new, 1, 1), string.sub(new, 2, 17)
  local lane = lane_of(person)
  seq = (seq or tonumber(call('HGET', CTL, 'seq') or 0)) + 1
  local ref = ref_of(seq, id)
  new_ids[#new_ids + 1] = id
  new_jobs[#new_jobs + 1] = id
  new_jobs[#new_jobs + 1] = kind .. ' ' .. int(seq) .. ' ' .. now_text .. '\n' .. string.sub(new, 18)
  lane.queued = lane.queued + 1
  if lane.state == 'i' then
    lane.state, lane.kind, lane.ref, lane.at = 'd', kind, ref, now
  else
    new_queue[#new_queue + 1] = '0'
    new_queue[#new_queue + 1] = person .. '\n' .. ref
  end
  if not lane.changed then
    lane.changed = true
    changed[#changed + 1] = lane
  end
  return id
end

local function write_enqueued()
  if #new_ids == 0 then return end
  local records, due = {}, { [DUE_H] = {}, [DUE_R] = {} }
  for _, lane in ipairs(changed) do
    if lane.was_set then
      save_lane(lane)
    else
      local set, member = place_of(lane)
      records[#records + 1] = lane.person
      records[#records + 1] = lane_text(lane)
      local rows = due[set]
      rows[#rows + 1] = now_text
      rows[#rows + 1] = member
      wakes = true
    end
  end
  write('HSET', JOB, new_jobs)
  write('ZADD', QUEUE, new_queue)
  write('HSET', LANE, records)
  write('ZADD', DUE_H, due[DUE_H])
  write('ZADD', DUE_R, due[DUE_R])
  call('HSET', CTL, 'seq', int(seq))
  add_all_live(new_ids)
end
