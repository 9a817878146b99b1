-- Runs read commands in order. KEYS: one key for each command. ARGV[2..]: for each command its name, how many
-- arguments follow the key, and these arguments. Returns each command's answer.
local found, at = { broken }, 2
for n = FIXED + 1, #KEYS do
  local count = tonumber(ARGV[at + 1])
  found[#found + 1] = try(ARGV[at], KEYS[n], unpack(ARGV, at + 2, at + 1 + count)) or false
  at = at + 2 + count
end
return found
