-- Writes many rows by few commands. Lua passes some 8,000 values at the most.
local WRITE_MAX = 4000

local function write(command, key, rows)
  for at = 1, #rows, WRITE_MAX do
    call(command, key, unpack(rows, at, math.min(at + WRITE_MAX - 1, #rows)))
  end
end
