-- Opens the store, and proves that it can be written to: sets the schema's version if there is none, and counts the
-- opening. Its COMMANDS are those of all scripts.
if not version then call('SET', SCHEMA, KNOWN) end
return { broken, call('HINCRBY', CTL, 'looks', 1) }
