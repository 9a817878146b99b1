-- Replaces an unmapped record by the jobs that were made of it. Before: a dead letter. After: the jobs are
-- at the end of their lanes, the record is gone. Or nothing changed.
-- ARGV[9] id, then of each job what `enqueue` takes. Answers done, missing, or other.
local as, text = ended_as(ARGV[9])
if as == 'x' then return 'other' end
if as ~= 'u' then return 'missing' end
for at = 10, #ARGV do
  local person = person_of(ARGV[at])
  if not lane_of(person) then return damaged('a lane does not read back') end
  enqueue(person, ARGV[at])
end
drop_unmapped(ARGV[9], text)
write_enqueued()
wake()
return 'done'
