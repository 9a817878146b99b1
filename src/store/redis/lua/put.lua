-- Puts an entry into an inbox, whatever the bounds, and makes the person due. KEYS: the lane. ARGV[2] what `append`
-- takes. Returns whether there is such a person; -1: their lane cannot be parsed.
local lane = read_lane(KEYS[FIXED + 1])
if not lane then return { broken, lane == nil and 0 or -1 } end
local is_due = lane.state == 'w' and lane.due > 0 and lane.due <= now and has(lane, WAKES) and lane.tag == ''
if lane.state ~= 'r' and not is_due and not is_woken(lane.state, lane.due, has(lane, WAKES)) then release(lane) end
append(lane, ARGV[2])
count_entries(lane.source, 1)
keep_lanes()
return { broken, 1 }
