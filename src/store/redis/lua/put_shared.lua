-- Writes a shared document, if it still has this version. SHARED: name -> version (8), bytes.
-- ARGV[2] name, [3] version, [4] bytes. Returns whether it was; -1: it cannot be parsed.
local text = try('HGET', SHARED, ARGV[2])
if text == nil or text and #text < 8 then return { broken, -1 } end
local version_there = text and struct.unpack('>I8', text) or 0
if version_there ~= tonumber(ARGV[3]) then return { broken, 0 } end
call('HSET', SHARED, ARGV[2], struct.pack('>I8', version_there + 1) .. ARGV[4])
return { broken, 1 }
