-- Looks at a person. Changes nothing.
-- ARGV[9] person, [10] how many of each sort, [11..13] the last of the page before (or '') of: what ended,
-- what is queued, what could not be mapped.
-- Answers: the directory's entry or '', the view of the lane's job where it has one ({} else), then for
-- each sort its members and their views.
local person = ARGV[9]
local lane = call('HGET', LANE, person) or ''
local head = string.sub(lane, 1, 1)
head = (head == 'd' or head == 'l') and view(string.sub(lane, 15, 30)) or {}
local answer = { call('HGET', DIRECTORY, person) or '', head }
for n, sort in ipairs({ { KEPT, 12 }, { QUEUE, 12 }, { UNMAPPED, 0 } }) do
  local after = ARGV[10 + n]
  local from = after == '' and '[' .. person .. '\n' or '(' .. after
  local members = call('ZRANGEBYLEX', sort[1], from, '(' .. person .. '\v', 'LIMIT', 0, ARGV[10])
  local views = {}
  for m, member in ipairs(members) do
    views[m] = line_of(string.sub(member, #person + 2 + sort[2])) or {}
  end
  answer[#answer + 1] = members
  answer[#answer + 1] = views
end
return answer
