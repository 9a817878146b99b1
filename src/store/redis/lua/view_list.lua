-- Looks through a list of ids, newest first. Changes nothing.
-- ARGV[9] live, dead or done, [10] the id before which to begin, or '', [11] how many to look at.
-- Answers a view of each.
local list, before, most = ARGV[9], ARGV[10], tonumber(ARGV[11])
local ids
if list == 'live' then
  ids = newest_live(before, most)
else
  local from = before == '' and '+' or '(' .. before
  ids = call('ZREVRANGEBYLEX', list == 'dead' and DEAD or DONE_IDS, from, '-', 'LIMIT', 0, most)
end
local found = {}
for n, id in ipairs(ids) do
  found[n] = line_of(id) or { id, '', '', '', '' }
end
return found
