-- People in a state, longest first. ARGV[2] letter of the state, [3] rows at most, [4] since when and
-- [5] ID after which to continue, or ''. Returns the IDs and since when.
local state, most, after, found = ARGV[2], tonumber(ARGV[3]), ARGV[5] ~= '' and row_of(tonumber(ARGV[4]), ARGV[5]), {}

local function add(row)
  if not after or comes_before(after, row) then found[#found + 1] = row end
end

-- Binary search for the first index below `length` for which this holds (it holds for all after it); 0 on the first page.
local function first_of(length, is_so)
  local low, high = 0, after and length or 0
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_so(middle) then high = middle else low = middle + 1 end
  end
  return low
end

if state == 'r' then
  local leases = try('HGETALL', LEASED) or {}
  for n = 1, #leases, 2 do
    local read, _, _, since = pcall(struct.unpack, '>BI7I6', leases[n + 1])
    add(row_of(read and since or 0, leases[n]))
  end
else
  local place = PLACES[state]
  local from = first_of(try('ZCARD', place) or 0, function(rank)
    local row = call('ZRANGE', place, rank, rank, 'WITHSCORES')
    return comes_before(after, row_of(tonumber(row[2]), row[1]))
  end)
  local rows = try('ZRANGE', place, from, from + most - 1, 'WITHSCORES') or {}
  for n = 1, #rows, 2 do add(row_of(tonumber(rows[n + 1]), rows[n])) end
  if state == 'w' then
    local at = first_of(try('LLEN', FRESH) or 0, function(n)
      return struct.unpack('>I6', call('LINDEX', FRESH, n)) >= after[1]
    end)
    for _, row in ipairs(fresh_rows(at, most)) do add(row) end
  end
end
table.sort(found, comes_before)
local answer = { broken }
for n = 1, math.min(most, #found) do answer[n + 1] = { found[n][4], found[n][1] } end
return answer
