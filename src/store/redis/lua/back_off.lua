-- After a 429. After: no token of either kind is to be had before then.
-- ARGV[9] ms from now.
back_off((now + ARGV[9]) * 1000)
save_clocks()
keep_clock()
return 1
