-- What operators do with dead letters.

-- What ended under this id: x (a dead job), u (an unmapped record), d (a finished job); nil: nothing.
local function ended_as(id)
  local text = call('HGET', ENDED, id)
  return text and string.sub(text, 1, 1), text
end

-- Where a dead Hire is gone, what waits behind it goes on.
local function unpark(lane, kind)
  if kind ~= 'h' then return end
  lane.parks = lane.parks - 1
  if lane.state == 'p' then advance(lane) end
end

-- A dead job is no dead letter any more.
local function raise(job)
  call('ZREM', DEAD, job.id)
  call('HDEL', ENDED, job.id)
  call('ZREM', KEPT, job.person .. '\n' .. job.ref)
end

-- An unmapped record goes.
local function drop_unmapped(id, text)
  local person = string.match(text, '^[^\n]*\n([^\n]*)\n')
  call('ZREM', DEAD, id)
  call('HDEL', ENDED, id)
  if person ~= '' then call('ZREM', UNMAPPED, person .. '\n' .. id) end
end
