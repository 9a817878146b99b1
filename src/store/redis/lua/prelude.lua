-- What every script begins with: the keys by name, whether it may run at all, the clock, numbers as text.
--
-- COMMANDS    what the script calls; scripts.rs puts the list in front
-- KEYS are the same for every script, all under one hash tag; keys.rs lists them in this order.
-- ARGV[1]     now in ms since the epoch; 0: the server's clock (tests bring a clock of their own)
-- ARGV[2..5]  us between two tokens and us of tolerance: of writes, of reads; 0 us between: no limit
-- ARGV[6..7]  ms between the probes of a hold: the first, the most
-- ARGV[8]     finished jobs kept at the most
-- ARGV[9..]   the script's own
--
-- A reference `ref` to a job is 12 hex digits of its sequence and the 16 bytes of its id.
-- Text is never compared by `<`: that would be the server's locale.
local SCHEMA, CTL, HOLD_ALL, HOLD_CREATES, JOB, LANE, DIRECTORY, DUE_H, DUE_R, LEASE_H, LEASE_R, PARKED, QUEUE,
  LIVE, LIVE_ORDER, DEAD, DONE, DONE_IDS, KEPT, UNMAPPED, ENDED, SEEN, WAKE = unpack(KEYS)
local call = redis.call

-- The newest schema that these scripts know. A change that an older version cannot live with raises it.
local KNOWN = 1

-- A script that a command is refused to in its middle leaves half of its writes behind: refused before.
do
  local refused = {}
  for _, command in ipairs(COMMANDS) do
    -- Any of our names does: those of the keys were looked at by EVALSHA.
    if not redis.acl_check_cmd(command, WAKE) then refused[#refused + 1] = string.lower(command) end
  end
  if #refused > 0 then return redis.error_reply("NOPERM the user may not run '" .. table.concat(refused, ' ') .. "'") end
end

-- A newer version may come at any time, and what it writes is not ours to write in.
local version = call('GET', SCHEMA)
if version and (tonumber(version) or 0) ~= KNOWN then
  if not tonumber(version) then return redis.error_reply('DAMAGED the schema version is no number') end
  if tonumber(version) > KNOWN then return redis.error_reply('NEWER ' .. version .. ' ' .. KNOWN) end
end

-- A whole number as text, exact up to 2^53. (`%.0f` takes twice as long.)
local format = string.format
local function int(n)
  return format('%d', n)
end

-- The clock, and time as it counts here. Where the clock is set back, all that is due, and the tokens, would
-- wait until it is where it was: so time goes on, at nine tenths of the clock's pace until the clock has caught
-- up. While time is ahead, a clock that leaps is one that is set right again: that is no time that has passed.
-- CTL clock_us: the time when it was last kept; clock_read_us: what the clock said then.
local CLOCK_KEPT_US, CLOCK_LEAP_US = 1000000, 10000000
local clock_us, now_us, clock_is_behind, clock_is_kept
do
  if ARGV[1] == '0' then
    local time = call('TIME')
    clock_us = time[1] * 1000000 + time[2]
  else
    clock_us = ARGV[1] * 1000
  end
  local kept, read = unpack(call('HMGET', CTL, 'clock_us', 'clock_read_us'))
  kept, read = tonumber(kept or 0), tonumber(read or 0)
  now_us = clock_us
  if kept > read or kept - clock_us > CLOCK_KEPT_US then
    local passed = clock_us - read
    if passed < 0 or passed > CLOCK_LEAP_US then passed = 0 end
    now_us = math.max(kept + math.floor(passed * 0.9), clock_us)
  end
  clock_is_behind = now_us > clock_us
  clock_is_kept = clock_us >= read and clock_us - read <= CLOCK_KEPT_US
end
local now = math.floor(now_us / 1000)

-- Keeps the time, once a second: whatever goes on all the time does so.
local function keep_clock()
  if not clock_is_kept then call('HSET', CTL, 'clock_us', int(now_us), 'clock_read_us', int(clock_us)) end
end

-- Refuses before anything is written.
local function damaged(what)
  return redis.error_reply('DAMAGED ' .. what)
end
