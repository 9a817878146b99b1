-- The store in figures. Answers now, since when the longest due has been due or '', people with a document, how many
-- are in each state, entries by source, dead letters (see DEAD_COUNT).
local lanes = { r = try('HLEN', LEASED) or 0 }
for state, place in pairs(PLACES) do lanes[state] = try('ZCARD', place) or 0 end
lanes.w = lanes.w + (try('LLEN', FRESH) or 0)
local first = try('LINDEX', FRESH, 0)
local since = first and math.floor(struct.unpack('>I7', first) / 1000)
local due = tonumber((try('ZRANGE', DUE, 0, 0, 'WITHSCORES') or {})[2])
if due and due <= now and not (since and since <= due) then since = due end
return { broken, now, since or '', call('HGET', CTL, 'people') or 0,
  { 'w', lanes.w, 'r', lanes.r, 'h', lanes.h, 's', lanes.s, 'n', lanes.n, 'b', lanes.b },
  try('HGETALL', ENTRIES) or {}, try('HGETALL', DEAD_COUNT) or {} }
