-- Reads a page of a section, for another store. Changes nothing.
-- ARGV[9] people, dead, waiting, finished or deliveries, [10] where to begin ('': at the beginning), [11] how
-- many, about. Answers where to go on ('': that was all), then the records: person and entry; views of jobs
-- (see views.lua); or what page_of_seen tells.
local section, from, most = ARGV[9], ARGV[10], tonumber(ARGV[11])

-- The oldest live jobs above an id.
local function oldest_live(after)
  local names = {}
  if after ~= '' then names[1] = segment_of(after) end
  for _, name in ipairs(call('ZRANGEBYLEX', LIVE_ORDER, after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, most)) do
    names[#names + 1] = name
  end
  local found = {}
  for _, name in ipairs(names) do
    local ids = call('HGET', LIVE, name)
    for at = 1, #ids, 16 do
      if #found >= most then return found end
      if after == '' or is_below(after, 1, ids, at) then found[#found + 1] = string.sub(ids, at, at + 15) end
    end
  end
  return found
end

if section == 'people' then
  local page = call('HSCAN', DIRECTORY, from == '' and '0' or from, 'COUNT', most)
  local answer = { page[1] == '0' and '' or page[1] }
  for n = 1, #page[2], 2 do answer[#answer + 1] = { page[2][n], page[2][n + 1] } end
  return answer
end
if section == 'deliveries' then
  local found, next_from = page_of_seen(from, most)
  table.insert(found, 1, next_from)
  return found
end
local ids
if section == 'waiting' then
  ids = oldest_live(from)
else
  local set = section == 'dead' and DEAD or DONE_IDS
  ids = call('ZRANGEBYLEX', set, from == '' and '-' or '(' .. from, '+', 'LIMIT', 0, most)
end
local answer = { #ids == most and ids[#ids] or '' }
for n, id in ipairs(ids) do answer[n + 1] = view(id) or { id, '', '', '', '' } end
return answer
