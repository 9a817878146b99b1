-- Looks at what is running. Changes nothing.
-- ARGV[9] h or r, [10] so many to skip, [11] how many at the most. Answers the ids.
local ids = {}
for n, ref in ipairs(call('ZRANGE', ARGV[9] == 'h' and LEASE_H or LEASE_R, ARGV[10], ARGV[10] + ARGV[11] - 1)) do
  ids[n] = string.sub(ref, 13)
end
return ids
