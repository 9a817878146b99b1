-- People by number. ARGV[2] rows at the most, [3] bytes of each lane, [4] the ID after which it goes on, or ''.
-- Answers where it ended, or '' at the end, then the rows. ROOT n XXX: see `number_of`.
local after = ARGV[4]
local first, above = 0, -1
if after ~= '' then
  local high, low = struct.unpack('>I2I6', after)
  first, above = math.floor(high / 4), high % 4 * 281474976710656 + low
end
for bucket = first, 4095 do
  local numbers = {}
  for _, text in ipairs(try('SMEMBERS', ROOT .. 'n' .. string.format('%03x', bucket)) or {}) do
    local number = tonumber(text)
    if number > above then numbers[#numbers + 1] = number end
  end
  above = -1
  table.sort(numbers)
  for _, number in ipairs(numbers) do
    local low = number % 281474976710656
    local id = struct.pack('>I2I6', bucket * 4 + (number - low) / 281474976710656, low)
    if not show(id, tonumber(ARGV[2]), tonumber(ARGV[3])) then return { broken, id, unpack(rows) } end
  end
end
return { broken, '', unpack(rows) }
