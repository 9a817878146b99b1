-- People are sorted by a time; those with the same time, by number.
local function row_of(at, id)
  local high, low = struct.unpack('>I4I4', id)
  return { at, high, low, id }
end

local function comes_before(a, b)
  if a[1] ~= b[1] then return a[1] < b[1] end
  if a[2] ~= b[2] then return a[2] < b[2] end
  return a[3] < b[3]
end

-- At least this many rows of FRESH, starting at this index: rows of the same time stay together, unless they are more than
-- `bound`. A batch puts thousands at one instant.
local function fresh_rows(from, most, bound)
  local rows, last, piece = {}, nil, math.max(most, 128)
  repeat
    local texts = try('LRANGE', FRESH, from, from + piece - 1) or {}
    for _, text in ipairs(texts) do
      local since = struct.unpack('>I6', text)
      if #rows >= most and (since ~= last or bound and #rows >= bound) then return rows end
      last, rows[#rows + 1] = since, row_of(since, string.sub(text, 7))
    end
    from = from + piece
  until #texts < piece
  return rows
end
