-- What people look at. Changes nothing.

-- A job or dead letter with all that tells where it stands: id, job or '', end or '', lane or '', due at
-- or ''.
local function view(id)
  local job, ended = call('HGET', JOB, id), call('HGET', ENDED, id)
  if not job and not ended then return nil end
  local lane, due = '', ''
  if job and not ended then
    local person = string.match(job, '^[^\n]*\n([^\n]*)\n')
    lane = person and call('HGET', LANE, person) or ''
    if string.sub(lane, 1, 1) == 'd' and string.sub(lane, 15, 30) == id then
      due = call('ZSCORE', string.sub(lane, 2, 2) == 'h' and DUE_H or DUE_R, string.sub(lane, 3, 30)) or ''
    end
  end
  return { id, job or '', ended or '', lane, due }
end

-- The same for a line in a listing: without the payload of an unmapped record, which may be a megabyte.
local function line_of(id)
  local found = view(id)
  if found and string.sub(found[3], 1, 1) == 'u' then
    found[3] = string.match(found[3], '^[^\n]*\n[^\n]*\n[^\n]*\n') or found[3]
  end
  return found
end
