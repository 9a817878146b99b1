-- Takes in what another store has, whatever was there. ARGV[2..]: one record after the other, by its letter.
-- m (seq, fence, tats), r (key, value, ms), p (ID, lane with an empty inbox, document or '', number of entries of the
-- story and these, how many are gone, number of fields of ROOT k and these, dead letter's id or '', row), e (ID, place,
-- what `append` takes), u (id, row, payload), s (name, text).
local at = 2
local function next_arg()
  at = at + 1
  return ARGV[at - 1]
end

local function take_person()
  local id, head, document = next_arg(), next_arg(), next_arg()
  local key = ROOT .. 'l' .. id
  forget(id, read_lane(key))
  call('SET', key, head)
  local lane = read_lane(key)
  local bucket, number = number_of(id)
  try('SADD', bucket, int(number))
  try('ZADD', PLACES[lane.state], int(lane.since), id)
  if lane.due > 0 then try('ZADD', DUE, int(lane.due), id) end
  if lane.tag ~= '' then try('ZADD', ROOT .. 't:' .. lane.tag, int(lane.since), id) end
  if lane.state == 'i' then call('HSET', CTL, 'tidied', 0) end
  call('DEL', ROOT .. 'd' .. id, ROOT .. 's' .. id)
  if has(lane, HAS_DOCUMENT) then
    call('SET', ROOT .. 'd' .. id, document)
    call('HINCRBY', CTL, 'people', 1)
  end
  for _ = 1, next_arg() do call('RPUSH', ROOT .. 's' .. id, next_arg()) end
  call('HSET', ROOT .. 'k' .. id, '#', next_arg())
  for _ = 1, next_arg() do
    local field = next_arg()
    local word = string.sub(field, 2)
    call('HSET', ROOT .. 'k' .. id, field, '')
    if string.sub(field, 1, 1) == 't' then
      try('ZADD', TERMS, 0, word .. '\0' .. id)
    else
      try('HSET', OWNERS, word, id)
    end
  end
  local dead, row = next_arg(), next_arg()
  if dead ~= '' then keep_dead(dead, row) end
end

-- One person's entries at a time, so that their inbox is written once.
local function take_entries(id, new)
  local lane = lane_of(id)
  local all = lane and first_entries(lane, function() return true end)
  if not all then return end
  local entries, places, from = {}, {}, 1
  while from <= #all do
    local place, bytes = struct.unpack('>I7I4', all, from)
    places[#places + 1] = place
    entries[place] = string.sub(all, from + 7, from + 10 + bytes)
    from = from + 11 + bytes
  end
  for place, body in pairs(new) do
    if not entries[place] then places[#places + 1] = place end
    entries[place] = body
  end
  table.sort(places)
  count_entries(lane.source, #places - lane.entries)
  lane.entries = #places
  for n, place in ipairs(places) do places[n] = struct.pack('>I7', place) .. entries[place] end
  call('SET', lane.key, head_of(lane) .. table.concat(places))
end

local entries = {}
while at <= #ARGV do
  local kind = next_arg()
  if kind == 'm' then
    for _, field in ipairs({ 'seq', 'fence', 'write_tat_us', 'read_tat_us' }) do
      local mark = math.max(tonumber(next_arg()), tonumber(call('HGET', CTL, field) or 0))
      call('HSET', CTL, field, int(mark))
    end
  elseif kind == 'r' then
    call('SET', next_arg(), next_arg(), 'PX', next_arg())
  elseif kind == 'p' then
    take_person()
  elseif kind == 'e' then
    local id, place = next_arg(), tonumber(next_arg())
    entries[id] = entries[id] or {}
    entries[id][place] = next_arg()
  elseif kind == 'u' then
    keep_dead(next_arg(), next_arg(), next_arg())
  else
    try('HSET', SHARED, next_arg(), next_arg())
  end
end
for id, new in pairs(entries) do take_entries(id, new) end
keep_lanes()
return { broken }
