-- Dead letters, newest first: ids and rows from this time on, so many left out. ARGV[2] ms or '+inf', [3] how many
-- are left out, [4] how many at the most.
local ids = try('ZRANGE', DEAD_AT, ARGV[2], '-inf', 'BYSCORE', 'REV', 'LIMIT', ARGV[3], ARGV[4]) or {}
local found = { broken }
for n, id in ipairs(ids) do found[n + 1] = { id, try('HGET', DEAD, id) or '' } end
return found
