-- Remembers deliveries and queues their jobs: several deliveries share a call, each for itself. Before:
-- verified deliveries. After, for each: it was known, or there is no room, or a lane does not read back, and
-- nothing changed; or it is remembered, its jobs wait in their lanes, and its unmapped records are dead letters.
-- ARGV[9] high-water mark, [10] number of deliveries, then of each: key and fingerprint (16 bytes each), ms
-- to remember, source, number of jobs, number of unmapped records, 4 of each job (id, kind, person, event)
-- and 5 of each unmapped record (id, person or '', code, detail, payload).
-- Answers for each s (stored), f (full), c (conflict), x (damaged), or d (duplicate) and the ids it got the
-- first time.
local live = tonumber(call('HGET', CTL, 'live') or 0) - call('ZCARD', LEASE_H) - call('ZCARD', LEASE_R)
local records, letters, of_persons = {}, {}, {}
local at = 11

local function take(count)
  at = at + count
  return unpack(ARGV, at - count, at - 1)
end

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

-- One delivery, whose jobs begin at `at`.
local function accept(key, fingerprint, remember_ms, source, jobs, unmapped)
  local until_ms, known_fingerprint, known_ids = find_seen(key)
  if until_ms and until_ms > now then
    return known_fingerprint == fingerprint and 'd' .. known_ids or 'c'
  end
  if live >= tonumber(ARGV[9]) then return 'f' end
  for n = 0, jobs - 1 do
    if not lane_of(ARGV[at + n * 4 + 2]) then return 'x' end
  end
  local ids = {}
  for _ = 1, jobs do
    ids[#ids + 1] = ARGV[at]
    enqueue(take(4))
  end
  for _ = 1, unmapped do
    ids[#ids + 1] = ARGV[at]
    keep_unmapped(source, take(5))
  end
  live = live + jobs
  remember(key, now + remember_ms, fingerprint, table.concat(ids))
  return 's'
end

local answers = {}
for n = 1, tonumber(ARGV[10]) do
  local after = at + 6 + ARGV[at + 4] * 4 + ARGV[at + 5] * 5
  answers[n] = accept(take(6))
  at = after
end
write_enqueued()
write('HSET', ENDED, records)
write('ZADD', DEAD, letters)
write('ZADD', UNMAPPED, of_persons)
-- Last: what is remembered without being kept would be lost.
write_seen()
wake()
return answers
