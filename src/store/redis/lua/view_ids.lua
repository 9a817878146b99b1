-- Looks at jobs or dead letters by id. Changes nothing.
-- ARGV[9..] ids. Answers a view of each that is there.
local found = {}
for n = 9, #ARGV do found[#found + 1] = view(ARGV[n]) end
return found
