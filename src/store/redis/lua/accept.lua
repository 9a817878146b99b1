-- Remembers a delivery and queues its jobs. Before: a verified delivery. After: it was known, or there is
-- no room, and nothing changed; or it is remembered, its jobs wait in their lanes, and its unmapped
-- records are dead letters.
-- ARGV[9] key, [10] fingerprint (16 bytes each), [11] ms to remember, [12] high-water mark, [13] source,
-- [14] number of jobs, then 4 of each job (id, kind, person, event) and 5 of each unmapped record (id,
-- person or '', code, detail, payload).
-- Answers s (stored), f (full), c (conflict), or d (duplicate) with the ids it got the first time.
local known = call('HGET', SEEN, ARGV[9])
if known then
  -- `until SP fingerprint ids`
  local until_ms, at = string.match(known, '^(%d+) ()')
  if tonumber(until_ms) > now then
    if string.sub(known, at, at + 15) ~= ARGV[10] then return { 'c' } end
    return { 'd', string.sub(known, at + 16) }
  end
end
local running = call('ZCARD', LEASE_H) + call('ZCARD', LEASE_R)
if tonumber(call('HGET', CTL, 'live') or 0) - running >= tonumber(ARGV[12]) then return { 'f' } end

local ids = {}
local at = 15
for _ = 1, tonumber(ARGV[14]) do
  enqueue(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
  ids[#ids + 1] = ARGV[at]
  at = at + 4
end
while at < #ARGV do
  local id, person = ARGV[at], ARGV[at + 1]
  local fields = table.concat({ 'u', int(now), ARGV[at + 2], ARGV[13] }, ' ')
  call('HSET', ENDED, id, table.concat({ fields, person, ARGV[at + 3], ARGV[at + 4] }, '\n'))
  call('ZADD', DEAD, 0, id)
  if person ~= '' then call('ZADD', UNMAPPED, 0, person .. '\n' .. id) end
  ids[#ids + 1] = id
  at = at + 5
end
local until_ms = int(now + ARGV[11])
call('HSET', SEEN, ARGV[9], until_ms .. ' ' .. ARGV[10] .. table.concat(ids))
call('RPUSH', SEEN_ORDER, until_ms .. ' ' .. ARGV[9])
wake()
return { 's' }
