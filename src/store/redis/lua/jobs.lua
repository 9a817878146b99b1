-- A job's record: a line of fields, the person, the event (JSON), and a line of JSON for each entry of
-- its history. The fields: kind (h or r), seq, accepted_at; from its first attempt on also due_at,
-- attempts, take_overs, first_attempt_at ('-': none), create_unknown (0 or 1), not_found,
-- username_refused; whatever a newer version adds after them is kept as it is. A record that does not
-- read is taken for one that is not there.
local HISTORY_MAX = 50

local function ref_of(seq, id)
  return string.format('%012x', seq) .. id
end

local function seq_of(ref)
  return tonumber(string.sub(ref, 1, 12), 16)
end

local function id_of(ref)
  return string.sub(ref, 13)
end

local function parse_job(id, text)
  local fields, person, rest = string.match(text, '^([^\n]*)\n([^\n]*)\n(.*)$')
  local kind, seq, accepted, more = string.match(fields or '', '^(%a) (%d+) (%d+)(.*)$')
  if not kind then return nil end
  local job = { id = id, kind = kind, seq = seq, accepted = accepted, person = person, rest = rest }
  job.due, job.attempts, job.take_overs, job.first, job.create_unknown, job.not_found, job.username_refused,
    job.newer = string.match(more, '^ (%d+) (%d+) (%d+) (%S+) (%d) (%d+) (%d+)(.*)$')
  if not job.due then
    job.due, job.attempts, job.take_overs, job.first = accepted, 0, 0, '-'
    job.create_unknown, job.not_found, job.username_refused, job.newer = 0, 0, 0, ''
  end
  job.ref = ref_of(seq, id)
  return job
end

local function find_job(id)
  local text = call('HGET', JOB, id)
  return text and parse_job(id, text)
end

local function job_text(job)
  return table.concat({ job.kind, job.seq, job.accepted, job.due, job.attempts, job.take_overs, job.first,
    job.create_unknown, job.not_found, job.username_refused }, ' ') .. job.newer .. '\n' .. job.person .. '\n' .. job.rest
end

local function save_job(job)
  local text = job_text(job)
  call('HSET', JOB, job.id, text)
  return text
end

-- Due at once, and as if it had not been tried: the time to give up starts with the first attempt that
-- counts.
local function undo_attempt(job)
  job.due = int(now)
  if tonumber(job.attempts) == 0 then job.first = '-' end
end

-- Appends entries (lines of JSON, or '') to a job's history and bounds it: the first entry and the
-- newest stay, what lies between is dropped and counted.
local function extend_history(job, entries)
  if entries == '' then return end
  job.rest = job.rest .. '\n' .. entries
  local lines = {}
  for line in string.gmatch(job.rest, '[^\n]+') do lines[#lines + 1] = line end
  local length = #lines - 1 -- the first line is the event
  if length <= HISTORY_MAX then return end
  local dropped, at = 0, '0'
  local kept = { lines[1], lines[2], '' }
  local excess = length + 1 - HISTORY_MAX
  for n = 3, 2 + excess do
    dropped = dropped + (string.match(lines[n], '"note":"omitted","entries":(%d+)') or 1)
    at = string.match(lines[n], '"at":(-?%d+)') or at
  end
  kept[3] = '{"at":' .. at .. ',"note":"omitted","entries":' .. int(dropped) .. '}'
  for n = 3 + excess, #lines do kept[#kept + 1] = lines[n] end
  job.rest = table.concat(kept, '\n')
end

-- Forgets a finished job: its reference is gone from DONE already.
local function forget_job(ref)
  local id = id_of(ref)
  local text = call('HGET', JOB, id)
  if text then
    local person = string.match(text, '^[^\n]*\n([^\n]*)\n')
    if person then call('ZREM', KEPT, person .. '\n' .. ref) end
    call('HDEL', JOB, id)
  end
  call('HDEL', ENDED, id)
  call('ZREM', DONE_IDS, id)
end

-- Drops the oldest finished jobs beyond their number, so many at the most; says how many went.
local function drop_surplus(most)
  local surplus = math.min(call('ZCARD', DONE) - ARGV[8], most)
  if surplus <= 0 then return 0 end
  local oldest = call('ZPOPMIN', DONE, surplus)
  for n = 1, #oldest, 2 do forget_job(oldest[n]) end
  return #oldest / 2
end
