-- Remembers deliveries and queues their jobs: several deliveries share a call, each for itself. Before:
-- verified deliveries. After, for each: it was known, or there is no room, and nothing changed; or it is
-- remembered, its jobs wait in their lanes, and its unmapped records are dead letters.
-- ARGV[9] high-water mark, [10] number of deliveries, then of each: key and fingerprint (16 bytes each), ms
-- to remember, source, number of jobs, number of unmapped records, 4 of each job (id, kind, person, event)
-- and 5 of each unmapped record (id, person or '', code, detail, payload).
-- Answers for each s (stored), f (full), c (conflict), or d (duplicate) and the ids it got the first time.
local at = 11

local function take(count)
  at = at + count
  return unpack(ARGV, at - count, at - 1)
end

local function keep_unmapped(source, id, person, code, detail, payload)
  local fields = table.concat({ 'u', int(now), code, source }, ' ')
  call('HSET', ENDED, id, table.concat({ fields, person, detail, payload }, '\n'))
  call('ZADD', DEAD, 0, id)
  if person ~= '' then call('ZADD', UNMAPPED, 0, person .. '\n' .. id) end
end

local function accept()
  local key, fingerprint, remember_ms, source, jobs, unmapped = take(6)
  local from, after = at, at + jobs * 4 + unmapped * 5
  at = after
  local until_ms, known_fingerprint, known_ids = find_seen(key)
  if until_ms and until_ms > now then
    return known_fingerprint == fingerprint and 'd' .. known_ids or 'c'
  end
  local running = call('ZCARD', LEASE_H) + call('ZCARD', LEASE_R)
  if tonumber(call('HGET', CTL, 'live') or 0) - running >= tonumber(ARGV[9]) then return 'f' end
  -- A lane that is damaged is found before anything is written.
  if tonumber(jobs) > 1 then
    for n = 0, jobs - 1 do load_lane(ARGV[from + n * 4 + 2]) end
  end
  local ids = {}
  at = from
  for _ = 1, jobs do
    ids[#ids + 1] = ARGV[at]
    enqueue(take(4))
  end
  for _ = 1, unmapped do
    ids[#ids + 1] = ARGV[at]
    keep_unmapped(source, take(5))
  end
  at = after
  remember(key, now + remember_ms, fingerprint, table.concat(ids))
  return 's'
end

local answers = {}
for n = 1, tonumber(ARGV[10]) do answers[n] = accept() end
wake()
return answers
