-- Lifts holds. After: there is none of these scopes (where a code is given: none of that code), and nothing
-- is remembered of the pauses of those that were lifted.
-- ARGV[9] code or '', [10..] scopes. Answers the holds that were lifted.
local lifted = {}
for n = 10, #ARGV do
  local hold = load_hold(ARGV[n])
  if hold.code and (ARGV[9] == '' or ARGV[9] == hold.code) then
    lifted[#lifted + 1] = told_hold(hold)
    save_hold({ scope = hold.scope, ended = now })
    wakes = true
  end
end
wake()
return lifted
