-- What every script begins with: the keys by name, the clock, numbers as text.
--
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
