-- Prolongs a lease. Before: a lease. After: it and the trial that goes with it last longer; or it was
-- lost, and nothing changed.
-- ARGV[9] person, [10] fence, [11] ms, [12] trial's scope or ''. Answers until, or ''; `now` is second.
local lane = load_lane(ARGV[9])
if lane.state ~= 'l' or lane.fence ~= ARGV[10] then return { '', int(now) } end
lane.at = now + ARGV[11]
save_lane(lane)
if ARGV[12] ~= '' then
  local hold = load_hold(ARGV[12])
  if hold.trial == lane.fence then
    hold.trial_until = lane.at
    save_hold(hold)
  end
end
return { int(lane.at), int(now) }
