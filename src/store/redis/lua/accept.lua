-- Remembers deliveries and queues their jobs: several deliveries share a call, each for itself. Before:
-- verified deliveries. After, for each: it was known, or there is no room, or a lane does not read back, and
-- nothing changed; or it is remembered, its jobs wait in their lanes, and its unmapped records are dead letters.
-- ARGV[9] high-water mark, [10] number of deliveries, then of each: its head, of each of its jobs what `enqueue`
-- takes, and 5 of each unmapped record (id, person or '', code, detail, payload). The head: key and fingerprint
-- (16 bytes each), ms to remember (8 bytes), number of jobs, number of unmapped records (4 bytes each), source.
-- Answers for each s (stored), f (full), c (conflict), x (damaged), or d (duplicate) and the ids it got the
-- first time.
local HEAD, HEAD_SOURCE = '>c16c16I8I4I4', 49
local live = tonumber(call('HGET', CTL, 'live') or 0) - call('ZCARD', LEASE_H) - call('ZCARD', LEASE_R)
local high_water = tonumber(ARGV[9])
local records, letters, of_persons = {}, {}, {}

local function keep_unmapped(source, id, person, code, detail, payload)
  local fields = table.concat({ 'u', int(now), code, source }, ' ')
  records[#records + 1] = id
  records[#records + 1] = table.concat({ fields, person, detail, payload }, '\n')
  letters[#letters + 1] = '0'
  letters[#letters + 1] = id
  if person ~= '' then
    of_persons[#of_persons + 1] = '0'
    of_persons[#of_persons + 1] = person .. '\n' .. id
  end
end

-- What is told of each delivery, and what lanes and segments all of them touch.
local deliveries, keys, people, person_at = {}, {}, {}, {}
do
  local at = 11
  for n = 1, tonumber(ARGV[10]) do
    local head = ARGV[at]
    local key, fingerprint, remember_ms, jobs, unmapped = struct.unpack(HEAD, head)
    deliveries[n] = { head = head, key = key, fingerprint = fingerprint, remember_ms = remember_ms, jobs = jobs,
      unmapped = unmapped, at = at + 1 }
    keys[n] = key
    for job = at + 1, at + jobs do
      person_at[job] = person_of(ARGV[job])
      people[#people + 1] = person_at[job]
    end
    at = at + 1 + jobs + unmapped * 5
  end
end
load_seen(keys)
load_lanes(people)

local function accept(delivery)
  local until_ms, known_fingerprint, known_ids = find_seen(delivery.key)
  if until_ms and until_ms > now then
    return known_fingerprint == delivery.fingerprint and 'd' .. known_ids or 'c'
  end
  if live >= high_water then return 'f' end
  local past = delivery.at + delivery.jobs
  for n = delivery.at, past - 1 do
    if not lane_of(person_at[n]) then return 'x' end
  end
  local ids = {}
  for n = delivery.at, past - 1 do ids[#ids + 1] = enqueue(person_at[n], ARGV[n]) end
  if delivery.unmapped > 0 then
    local source = string.sub(delivery.head, HEAD_SOURCE)
    for n = past, past + delivery.unmapped * 5 - 1, 5 do
      ids[#ids + 1] = ARGV[n]
      keep_unmapped(source, unpack(ARGV, n, n + 4))
    end
  end
  live = live + delivery.jobs
  remember(delivery.key, now + delivery.remember_ms, delivery.fingerprint, table.concat(ids))
  return 's'
end

local answers = {}
for n, delivery in ipairs(deliveries) do answers[n] = accept(delivery) end
write_enqueued()
write('HSET', ENDED, records)
write('ZADD', DEAD, letters)
write('ZADD', UNMAPPED, of_persons)
-- Last: what is remembered without being kept would be lost.
write_seen()
keep_clock()
wake()
return answers
