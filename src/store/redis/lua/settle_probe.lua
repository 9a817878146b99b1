-- Ends a probe. Before: a probe is out. After: it is not, and where it passed, the hold is lifted. Without
-- effect where none is out.
-- ARGV[9] scope, [10] passed or failed.
if end_trial(ARGV[9], 'probe', ARGV[10]) then
  wakes = true
  wake()
end
return 1
