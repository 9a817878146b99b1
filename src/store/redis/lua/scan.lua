-- Remembered deliveries. ARGV: [2] the SCAN cursor, [3] the pattern of their keys. Returns the next cursor, then the key
-- and the value of each.
local scanned = call('SCAN', ARGV[2], 'MATCH', ARGV[3], 'COUNT', 500, 'TYPE', 'string')
local found = { broken, scanned[1] }
for n, key in ipairs(scanned[2]) do found[n + 2] = { key, try('GET', key) or '' } end
return found
