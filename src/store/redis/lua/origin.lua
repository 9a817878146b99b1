-- Says which store this is. After: it has an id.
-- ARGV[9] the id (16 bytes) that it gets where it has none. Answers its id, and its next sequence.
local id = call('HGET', CTL, 'identity')
if not id then
  id = ARGV[9]
  call('HSET', CTL, 'identity', id)
end
return { id, int((tonumber(call('HGET', CTL, 'seq')) or 0) + 1) }
