-- Reads one thing. KEYS: for a story, its list and the person's words. ARGV[2] what, [3] which.
local what, which = ARGV[2], ARGV[3]
if what == 'owner' then return { broken, try('HGET', OWNERS, which) } end
if what == 'shared' then return { broken, try('HGET', SHARED, which) } end
if what == 'dead' then return { broken, try('HGET', DEAD, which), try('HGET', PAYLOADS, which) } end
local story, words = unpack(KEYS, FIXED + 1)
return { broken, try('LRANGE', story, 0, -1) or {}, try('HGET', words, '#') }
