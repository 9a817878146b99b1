-- People as listings show them: of each ID, lane with the inbox's beginning, document or nil. A page ends after so
-- many rows or bytes; `where` is where it ended.
local PAGE_BYTES_MAX = 1048576
local rows, bytes = {}, 0

-- Adds a row; whether there is room for more. Who is not there (any more), or does not read, is left out.
local function show(id, rows_max, lane_bytes)
  local lane = try('GETRANGE', ROOT .. 'l' .. id, 0, lane_bytes - 1)
  if lane and lane ~= '' then
    local document = try('GET', ROOT .. 'd' .. id)
    rows[#rows + 1] = { id, lane, document == nil and '' or document }
    bytes = bytes + #lane + #(document or '')
  end
  return #rows < rows_max and bytes < PAGE_BYTES_MAX
end
