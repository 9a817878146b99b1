-- Reads, command by command. KEYS: of each command its own. ARGV[2..] of each its name, how many arguments come
-- behind the key, and these. Answers of each what it answers.
local found, at = { broken }, 2
for n = FIXED + 1, #KEYS do
  local count = tonumber(ARGV[at + 1])
  found[#found + 1] = try(ARGV[at], KEYS[n], unpack(ARGV, at + 2, at + 1 + count)) or false
  at = at + 2 + count
end
return found
