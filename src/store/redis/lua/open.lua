-- Opens the store, and proves that it can be written to. After: the schema's version is written where there
-- was none; one more ping is counted. Its COMMANDS are those of all scripts.
if not version then call('SET', SCHEMA, KNOWN) end
return call('HINCRBY', CTL, 'pings', 1)
