-- Opens the store. Before: nothing is known. After: the schema's version is written where there was none.
-- ARGV[9] newest version known. Answers the version found (or written).
local version = call('GET', SCHEMA)
if not version then
  call('SET', SCHEMA, ARGV[9])
  return tonumber(ARGV[9])
end
return tonumber(version) or damaged('the schema version is no number')
