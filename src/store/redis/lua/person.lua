-- One person. ARGV[2] ID, [3] bytes of the lane.
show(ARGV[2], 1, tonumber(ARGV[3]))
return { broken, unpack(rows) }
