-- Remembered deliveries. ARGV[2] where SCAN goes on, [3] pattern of their keys. Answers where it goes on, and of each
-- its key and what it says.
local scanned = call('SCAN', ARGV[2], 'MATCH', ARGV[3], 'COUNT', 500, 'TYPE', 'string')
local found = { broken, scanned[1] }
for n, key in ipairs(scanned[2]) do found[n + 2] = { key, try('GET', key) or '' } end
return found
