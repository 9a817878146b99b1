-- Takes a token. After: it is taken; or it is not to be had yet, and nothing changed.
-- ARGV[9] write or read. Answers '' or when there is one; `now` is second.
local not_before = take_token(ARGV[9])
save_clocks()
if clock_is_behind or not not_before then keep_clock() end
return { not_before and int(not_before) or '', int(now) }
