-- Opens the store, and proves that it can be written to: sets the schema's version and the store's id if there is none, and
-- counts the opening. ARGV[3]: the id for a new store. Answers the id, and 1 if the store is new. Its COMMANDS are those of all scripts.
if not version then call('SET', SCHEMA, KNOWN) end
if not store_id and ARGV[3] then call('HSET', CTL, 'store_id', ARGV[3]) end
call('HINCRBY', CTL, 'looks', 1)
return { broken, store_id or ARGV[3] or '', version and 0 or 1 }
