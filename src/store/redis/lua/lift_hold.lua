-- Lifts holds. After: there is none of these scopes, and nothing is remembered of their pauses.
-- ARGV[9..] scopes. Answers the holds that were lifted.
local lifted = {}
for n = 9, #ARGV do
  local hold = load_hold(ARGV[n])
  if hold.code then
    lifted[#lifted + 1] = told_hold(hold)
    save_hold({ scope = hold.scope, ended = now })
    wakes = true
  end
end
wake()
return lifted
