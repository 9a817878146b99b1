-- Sets a hold. After: a hold of that scope stands: this one, or the one that stays as it is.
-- ARGV[9] scope, [10] code. Answers the hold.
return told_hold(set_hold(ARGV[9], ARGV[10]))
