-- People in a state, the longest first. ARGV[2] rows at the most, [3] bytes of each lane, [4] letter of the state,
-- [5] the stamp after which it goes on. Answers the stamp where it ended, or '', then the rows.
local rows_max, state, after = tonumber(ARGV[2]), ARGV[4], tonumber(ARGV[5])
local found = {}

local function add(place, id)
  if place > after then found[#found + 1] = { place, id } end
end

-- The first row of FRESH behind `after`: they are in order, and none is taken from the middle but of the erased.
local function first_fresh()
  local low, high = 0, try('LLEN', FRESH) or 0
  while low < high do
    local middle = math.floor((low + high) / 2)
    if struct.unpack('>I7', call('LINDEX', FRESH, middle)) > after then high = middle else low = middle + 1 end
  end
  return low
end

if state == 'r' then
  local leases = try('HGETALL', LEASED) or {}
  for n = 1, #leases, 2 do
    local _, place = struct.unpack('>BI7', leases[n + 1])
    add(place, leases[n])
  end
else
  local set_rows = try('ZRANGE', PLACES[state], '(' .. int(after), '+inf', 'BYSCORE', 'LIMIT', 0, rows_max, 'WITHSCORES')
  for n = 1, #(set_rows or {}), 2 do add(tonumber(set_rows[n + 1]), set_rows[n]) end
  if state == 'w' then
    local from = first_fresh()
    for _, row in ipairs(try('LRANGE', FRESH, from, from + rows_max - 1) or {}) do
      add(struct.unpack('>I7', row), string.sub(row, 8))
    end
  end
end
table.sort(found, function(a, b) return a[1] < b[1] end)
for _, one in ipairs(found) do
  if not show(one[2], rows_max, tonumber(ARGV[3])) then return { broken, int(one[1]), unpack(rows) } end
end
return { broken, '', unpack(rows) }
