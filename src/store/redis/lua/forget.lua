-- Removes a person from every index: lane, search terms, claims, dead letter. Their document and story stay.
local function forget(id, lane)
  if lane then
    leave(lane)
    count_entries(lane.source, 0 - lane.entries)
    if has(lane, HAS_DOCUMENT) then call('HINCRBY', CTL, 'people', -1) end
  elseif lane == false then
    for _, place in pairs(PLACES) do try('ZREM', place, id) end
    for _, key in ipairs({ DUE, LEASES }) do try('ZREM', key, id) end
    try('HDEL', LEASED, id)
  end
  local words = ROOT .. 'k' .. id
  for _, field in ipairs(try('HKEYS', words) or {}) do
    local kind, word = string.sub(field, 1, 1), string.sub(field, 2)
    if kind == 't' then
      try('ZREM', TERMS, word .. '\0' .. id)
    elseif kind == 'o' and try('HGET', OWNERS, word) == id then
      try('HDEL', OWNERS, word)
    end
  end
  call('DEL', words)
  local own = try('HGET', DEAD_OF, id)
  if own then drop_dead(own) end
end
