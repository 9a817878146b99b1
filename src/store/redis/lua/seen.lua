-- Remembered deliveries, for what moves them from store to store. A record is `until SP fingerprint ids`.

-- Until when a delivery is remembered; nil: it is not known.
local function seen_until(key)
  local known = call('HGET', SEEN, key)
  return known and tonumber(string.match(known, '^(%d+) '))
end

local function remember(key, fingerprint, until_ms, ids)
  call('HSET', SEEN, key, until_ms .. ' ' .. fingerprint .. ids)
  call('RPUSH', SEEN_ORDER, until_ms .. ' ' .. key)
end

-- So many from the place `from` on ('' at first): key, fingerprint, until, ids of each that is remembered
-- still; and the place to go on from, or ''.
local function page_of_seen(from, most)
  local first = tonumber(from) or 0
  local rows = call('LRANGE', SEEN_ORDER, first, first + most - 1)
  local found = {}
  for _, row in ipairs(rows) do
    local until_ms, at = string.match(row, '^(%d+) ()')
    local key = string.sub(row, at)
    local known = tonumber(until_ms) > now and call('HGET', SEEN, key)
    -- Where it came again after its time, this row is an old one's.
    if known and string.sub(known, 1, at - 1) == string.sub(row, 1, at - 1) then
      found[#found + 1] = { key, string.sub(known, at, at + 15), until_ms, string.sub(known, at + 16) }
    end
  end
  return found, #rows == most and int(first + most) or ''
end
