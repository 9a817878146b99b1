-- Puts a new job at the end of its person's lane.
local function enqueue(id, kind, person, event)
  local lane = load_lane(person) -- may refuse: before anything is written
  local seq = call('HINCRBY', CTL, 'seq', 1)
  call('HSET', JOB, id, kind .. ' ' .. int(seq) .. ' ' .. int(now) .. '\n' .. person .. '\n' .. event)
  add_live(id)
  enter(lane, ref_of(seq, id), kind)
  save_lane(lane)
end
