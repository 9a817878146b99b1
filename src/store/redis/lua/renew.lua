-- Prolongs a lease. Before: a lease. After: it and the trial that goes with it last longer; or it was
-- lost, and nothing changed.
-- ARGV[9] person, [10] fence, [11] job's id, [12] ms, [13] trial's scope or ''. Answers until, or ''; `now` is second.
local lane = load_lane(ARGV[9])
if not holds_lease(lane, ARGV[10], ARGV[11]) then return { '', int(now) } end
lane.at = now + ARGV[12]
save_lane(lane)
if ARGV[13] ~= '' then
  local hold = load_hold(ARGV[13])
  if hold.trial == lane.fence then
    hold.trial_until = lane.at
    save_hold(hold)
  end
end
keep_clock()
return { int(lane.at), int(now) }
