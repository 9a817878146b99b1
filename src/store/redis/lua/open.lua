-- Opens the store, and proves that it can be written to. After: the schema's version is written where there was none;
-- one more look is counted. Its COMMANDS are those of all scripts.
if not version then call('SET', SCHEMA, KNOWN) end
return { broken, call('HINCRBY', CTL, 'looks', 1) }
