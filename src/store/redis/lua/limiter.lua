-- Takes a token, or moves the limits after a 429. CTL write_tat_us, read_tat_us: the theoretical arrival times of
-- GCRA, in us since the epoch; core/limiter.rs has the arithmetic.
-- ARGV[2] write, read or until; [3] us between two tokens (0: no limit) and [4] us of tolerance of writes, [5] and
-- [6] of reads; [7] ms from now, for `until`. Answers now and when there is a token; '' where it is taken.
local RATES = { write = { tonumber(ARGV[3]), tonumber(ARGV[4]) }, read = { tonumber(ARGV[5]), tonumber(ARGV[6]) } }

local function tat_of(kind)
  return tonumber(call('HGET', CTL, kind .. '_tat_us') or 0)
end

if ARGV[2] == 'until' then
  local until_us = (now + ARGV[7]) * 1000
  for kind, rate in pairs(RATES) do
    local tolerance = rate[1] == 0 and 0 or rate[2]
    call('HSET', CTL, kind .. '_tat_us', int(math.max(tat_of(kind), until_us + tolerance)))
  end
  keep_time()
  return { broken, now, '' }
end
local tat, rate = tat_of(ARGV[2]), RATES[ARGV[2]]
-- A back-off holds without a limit, too.
local earliest = rate[1] == 0 and tat or tat - rate[2]
if now_us < earliest then
  keep_time()
  return { broken, now, math.ceil(earliest / 1000) }
end
if rate[1] > 0 then call('HSET', CTL, ARGV[2] .. '_tat_us', int(math.max(tat, now_us) + rate[1])) end
keep_time()
return { broken, now, '' }
