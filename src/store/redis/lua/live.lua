-- The ids of live jobs in order, for listings. Packed into segments: there may be a million, and each
-- member of a sorted set takes some 120 bytes.
-- LIVE_ORDER: the segments' names, in order; LIVE: segment -> its ids in order, one after the other. No
-- id in a segment is below its name, none is at or above the next one's.
local SEGMENT_BYTES = 16 * 16

-- Whether the id at `a_at` of `a` is below the one at `b_at` of `b`.
local function is_below(a, a_at, b, b_at)
  local a1, a2, a3, a4 = struct.unpack('>I4I4I4I4', a, a_at)
  local b1, b2, b3, b4 = struct.unpack('>I4I4I4I4', b, b_at)
  if a1 ~= b1 then return a1 < b1 end
  if a2 ~= b2 then return a2 < b2 end
  if a3 ~= b3 then return a3 < b3 end
  return a4 < b4
end

local function new_segment(ids)
  local name = string.sub(ids, 1, 16)
  call('ZADD', LIVE_ORDER, 0, name)
  call('HSET', LIVE, name, ids)
  return name
end

-- The segment where an id is or would be; nil: it is below all.
local function segment_of(id)
  local name = call('ZREVRANGEBYLEX', LIVE_ORDER, '[' .. id, '-', 'LIMIT', 0, 1)[1]
  if name then return name, call('HGET', LIVE, name) or '' end
end

local function add_live(id)
  call('HINCRBY', CTL, 'live', 1)
  local name, ids = segment_of(id)
  if not name then
    new_segment(id)
    return
  end
  local at = #ids + 1
  while at > 1 and is_below(id, 1, ids, at - 16) do at = at - 16 end
  if #ids >= SEGMENT_BYTES then
    if at > #ids then
      new_segment(id)
      return
    end
    local half = SEGMENT_BYTES / 2
    local upper = string.sub(ids, half + 1)
    local upper_name = new_segment(upper)
    ids = string.sub(ids, 1, half)
    if at > half + 1 then
      call('HSET', LIVE, name, ids)
      name, ids, at = upper_name, upper, at - half
    end
  end
  call('HSET', LIVE, name, string.sub(ids, 1, at - 1) .. id .. string.sub(ids, at))
end

-- The same for several. New ids are above all, or nearly: they join the last segment together, inserted from
-- its end.
local function add_all_live(ids)
  local name = call('ZREVRANGEBYLEX', LIVE_ORDER, '+', '-', 'LIMIT', 0, 1)[1]
  -- Its ids in order, and their first 12 bytes as two numbers: to read them once is to compare them quickly.
  local last, high, low, count = {}, {}, {}, 0
  if name then
    local text = call('HGET', LIVE, name) or ''
    for at = 1, #text, 16 do
      count = count + 1
      last[count] = string.sub(text, at, at + 15)
      high[count], low[count] = struct.unpack('>I6I6', text, at)
    end
  end
  local before = count
  for _, id in ipairs(ids) do
    local h, l = struct.unpack('>I6I6', id)
    local at = count
    while at > 0 and (h < high[at] or h == high[at] and (l < low[at] or l == low[at] and is_below(id, 1, last[at], 1))) do
      at = at - 1
    end
    if at == 0 and name and is_below(id, 1, name, 1) then
      add_live(id)
    else
      count = count + 1
      if at + 1 == count then
        last[count], high[count], low[count] = id, h, l
      else
        table.insert(last, at + 1, id)
        table.insert(high, at + 1, h)
        table.insert(low, at + 1, l)
      end
    end
  end
  local joined = count - before
  if joined == 0 then return end
  call('HINCRBY', CTL, 'live', joined)
  local names, rows = {}, {}
  for from = 1, #last, SEGMENT_BYTES / 16 do
    rows[#rows + 1] = from == 1 and name or last[from]
    rows[#rows + 1] = table.concat(last, '', from, math.min(from + SEGMENT_BYTES / 16 - 1, #last))
    if rows[#rows - 1] ~= name then
      names[#names + 1] = '0'
      names[#names + 1] = last[from]
    end
  end
  write('ZADD', LIVE_ORDER, names)
  write('HSET', LIVE, rows)
end

local function remove_live(id)
  local name, ids = segment_of(id)
  if not name then return end
  local at = 0
  repeat at = string.find(ids, id, at + 1, true) until not at or at % 16 == 1
  if not at then return end
  call('HINCRBY', CTL, 'live', -1)
  if #ids == 16 then
    call('HDEL', LIVE, name)
    call('ZREM', LIVE_ORDER, name)
  else
    call('HSET', LIVE, name, string.sub(ids, 1, at - 1) .. string.sub(ids, at + 16))
  end
end

-- The newest so many, below `before` where that is not ''.
local function newest_live(before, most)
  local found = {}
  -- All but the first of these lie below `before` as a whole.
  local from = before == '' and '+' or '(' .. before
  for _, name in ipairs(call('ZREVRANGEBYLEX', LIVE_ORDER, from, '-', 'LIMIT', 0, most + 1)) do
    local ids = call('HGET', LIVE, name) or ''
    for at = #ids - 15, 1, -16 do
      if #found >= most then return found end
      if before == '' or is_below(ids, at, before, 1) then found[#found + 1] = string.sub(ids, at, at + 15) end
    end
  end
  return found
end
