-- Replaces an unmapped record by the jobs that were made of it. Before: a dead letter. After: the jobs are
-- at the end of their lanes, the record is gone. Or nothing changed.
-- ARGV[9] id, then 4 of each job: id, kind, person, event. Answers done, missing, or other.
local as, text = ended_as(ARGV[9])
if as == 'x' then return 'other' end
if as ~= 'u' then return 'missing' end
for at = 10, #ARGV, 4 do
  if not lane_of(ARGV[at + 2]) then return damaged('a lane does not read back') end
  enqueue(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
end
drop_unmapped(ARGV[9], text)
write_enqueued()
wake()
return 'done'
