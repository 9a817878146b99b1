-- The rate limiters' clocks: the theoretical arrival times of GCRA, in us since the epoch (see
-- core/limiter.rs, whose arithmetic this is). Read once, written by `save_clocks`.
local RATES = {
  write = { interval = tonumber(ARGV[2]), tolerance = tonumber(ARGV[3]) },
  read = { interval = tonumber(ARGV[4]), tolerance = tonumber(ARGV[5]) },
}
do
  local tats = call('HMGET', CTL, 'write_tat_us', 'read_tat_us')
  RATES.write.tat, RATES.read.tat = tonumber(tats[1] or 0), tonumber(tats[2] or 0)
end

-- Takes a token; else the ms at which there is one, not a moment too early.
local function take_token(kind)
  local rate = RATES[kind]
  if rate.interval == 0 then
    -- A back-off holds without a limit, too.
    return rate.tat > now_us and math.ceil(rate.tat / 1000) or nil
  end
  local earliest = rate.tat - rate.tolerance
  if now_us < earliest then return math.ceil(earliest / 1000) end
  rate.tat = math.max(rate.tat, now_us) + rate.interval
  rate.changed = true
end

-- No token of either kind before `until_us`.
local function back_off(until_us)
  for _, rate in pairs(RATES) do
    local tolerance = rate.interval == 0 and 0 or rate.tolerance
    rate.tat = math.max(rate.tat, until_us + tolerance)
    rate.changed = true
  end
end

local function save_clocks()
  for kind, rate in pairs(RATES) do
    if rate.changed then call('HSET', CTL, kind .. '_tat_us', int(rate.tat)) end
  end
end
