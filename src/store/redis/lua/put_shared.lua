-- Writes a shared document, if it still has this version. SHARED: name -> version (8), bytes. Versions are stamps.
-- ARGV[2] name, [3] version, [4] bytes.
local text = try('HGET', SHARED, ARGV[2])
if text == nil then return { broken, -1 } end
if (text and struct.unpack('>I8', text) or 0) ~= tonumber(ARGV[3]) then return { broken, 0 } end
call('HSET', SHARED, ARGV[2], struct.pack('>I8', next_stamp()) .. ARGV[4])
keep_time()
return { broken, 1 }
