-- Drops an unmapped record. ARGV[2] id. Answers whether there was one.
if not dead_fields(ARGV[2]) then return { broken, 0 } end
return { broken, drop_dead(ARGV[2]) and 1 or 0 }
