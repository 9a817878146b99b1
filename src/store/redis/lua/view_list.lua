-- Looks through a list of ids, newest first. Changes nothing.
-- ARGV[9] live, dead or done, [10] the id before which to begin, or '', [11] how many to look at.
-- Answers a view of each.
local set = ({ live = LIVE, dead = DEAD, done = DONE_IDS })[ARGV[9]]
local from = ARGV[10] == '' and '+' or '(' .. ARGV[10]
local found = {}
for n, id in ipairs(call('ZREVRANGEBYLEX', set, from, '-', 'LIMIT', 0, ARGV[11])) do
  found[n] = view(id) or { id, '', '', '', '' }
end
return found
