-- Drops an unmapped record, and no other dead letter: `dead_fields` says first whether it is one. ARGV[2] id. Returns whether there was one.
return { broken, dead_fields(ARGV[2]) and drop_dead(ARGV[2]) and 1 or 0 }
