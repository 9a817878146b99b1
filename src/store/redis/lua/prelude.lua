-- The beginning of every script: keys by name, whether it may run at all, the clock, what cannot be parsed.
--
-- scripts.rs puts in front: COMMANDS, what the script calls; the names of the fixed keys that its text uses,
-- which come first in KEYS; FIXED, how many they are. The script's own keys follow. Keys of people whom a script
-- looks up are built from ROOT: all keys have one hash tag, and so one slot.
-- ARGV[1]: the time, and after a space the id of the store that the process opened. (Stores of older versions have none.) The
-- time is 0: the server's clock counts. Tests bring their own: now in ms since the epoch, or, below 0, what the server's would say.
-- Returns { keys that cannot be read, … }. Text is never compared by `<`: that would depend on the server's locale.
local call, attempt, type, int_format, ROOT = redis.call, redis.pcall, type, string.format, string.sub(SCHEMA, 1, -#'schema' - 1)
-- The version of the layout: raised by a change that older versions cannot handle. 1 was never released.
local KNOWN = 2

-- If a command were refused in the middle of a script, its earlier writes would stay, so check at the start.
do
  local refused = {}
  for _, command in ipairs(COMMANDS) do
    -- Any of our keys will do: EVALSHA has checked the rights to all of them.
    if not redis.acl_check_cmd(command, SCHEMA) then refused[#refused + 1] = string.lower(command) end
  end
  if #refused > 0 then return redis.error_reply("NOPERM the user may not run '" .. table.concat(refused, ' ') .. "'") end
end

-- Never write into another version's store, or into one that was emptied: only a process that starts makes a store.
local version = call('GET', SCHEMA)
if not version and ARGV[2] ~= 'make the store' then return redis.error_reply('EMPTIED the schema version is gone') end
if version and version ~= '2' then
  if not tonumber(version) then return redis.error_reply('DAMAGED the schema version is not a number') end
  return redis.error_reply((tonumber(version) > KNOWN and 'NEWER ' or 'OLDER ') .. version .. ' ' .. KNOWN)
end

-- A whole number as text, exact up to 2^53. (`%.0f` takes twice as long.)
local function int(n) return int_format('%d', n) end

-- Keys of an unexpected type, or whose content cannot be read. The script's other writes go ahead.
local broken = {}
local function try(command, key, ...)
  local answer = attempt(command, key, ...)
  if type(answer) ~= 'table' or not answer.err then return answer end
  if not string.find(answer.err, 'WRONGTYPE', 1, true) then error(answer) end
  broken[#broken + 1] = key
end

-- The server's clock, and our time. If the clock is set back, everybody who is due, and the tokens, would have to wait
-- until it catches up. So our time goes on at nine tenths of the clock's pace until then. While our time is ahead, a
-- leap of the clock is taken for its correction: no time has passed.
-- After a leap, or after a long time without calls, the clock counts as steady once it has run on for an hour.
-- CTL clock_us: our time when it was last written; clock_read_us: what the clock said then; leapt_us: what it said
-- after its last leap.
local CLOCK_KEPT_US, CLOCK_LEAP_US, CLOCK_STEADY_US = 1000000, 10000000, 3600000000
local clock_us, now_us, clock_is_kept, passed_us, leaps, store_id
do
  local given, known_id = tonumber(string.match(ARGV[1], '%S+')), string.match(ARGV[1], ' (.+)')
  clock_us = math.abs(given) * 1000
  if clock_us == 0 then
    local time = call('TIME')
    clock_us = time[1] * 1000000 + time[2]
  end
  local ctl = call('HMGET', CTL, 'clock_us', 'clock_read_us', 'store_id')
  local kept, read = tonumber(ctl[1] or 0), tonumber(ctl[2] or 0)
  store_id = ctl[3]
  if known_id and store_id ~= known_id then return redis.error_reply('EMPTIED another store is in its place') end
  now_us = clock_us
  if given <= 0 and (kept > read or kept - clock_us > CLOCK_KEPT_US) then
    local passed = clock_us - read
    if passed < 0 or passed > CLOCK_LEAP_US then passed = 0 end
    now_us = math.max(kept + math.floor(passed * 0.9), clock_us)
  end
  clock_is_kept = clock_us >= read and clock_us - read <= CLOCK_KEPT_US
  local is_servers = given <= 0 and read > 0
  leaps = is_servers and (clock_us < read or clock_us - read > CLOCK_LEAP_US)
  passed_us = is_servers and now_us - kept or 0
end
local now = math.floor(now_us / 1000)

local function is_steady()
  return not leaps and clock_us - tonumber(call('HGET', CTL, 'leapt_us') or 0) >= CLOCK_STEADY_US
end

-- Saves our time once a second. Called by scripts that run regularly.
local function keep_time()
  if clock_is_kept then return end
  call('HSET', CTL, 'clock_us', int(now_us), 'clock_read_us', int(clock_us))
  if leaps then call('HSET', CTL, 'leapt_us', int(clock_us)) end
  -- In a leap no time has passed: a worker that waits for a token still waits as long as before. They ask at least once a
  -- second (TOKEN_LOOK_MAX), so that waiting is never mistaken for a leap.
  if passed_us > CLOCK_LEAP_US then
    for _, name in ipairs({ 'write_tat_us', 'read_tat_us' }) do
      local tat = tonumber(call('HGET', CTL, name) or 0)
      if tat > now_us - passed_us then call('HSET', CTL, name, int(tat + passed_us)) end
    end
  end
end
