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
  LIVE, LIVE_ORDER, DEAD, DONE, DONE_IDS, KEPT, UNMAPPED, ENDED, SEEN, SEEN_ORDER, WAKE = unpack(KEYS)
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

local now_us
if ARGV[1] == '0' then
  local time = call('TIME')
  now_us = time[1] * 1000000 + time[2]
else
  now_us = ARGV[1] * 1000
end
local now = math.floor(now_us / 1000)

-- A whole number as text, exact up to 2^53.
local function int(n)
  return string.format('%.0f', n)
end

-- Refuses before anything is written.
local function damaged(what)
  return redis.error_reply('DAMAGED ' .. what)
end
