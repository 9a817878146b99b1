-- Keeps a range of sequences free for another store's jobs. After: the range of that store is known, and
-- whatever is accepted comes after it; or nothing changed.
-- CTL: `origin:` and the other store's id -> `base end`, where its jobs have sequences above base and below
-- end; taken_in_below: sequences below it are other stores'.
-- ARGV[9] the other store's id, [10] its next sequence. Answers base, or 'same', or 'newer' (where this store
-- has accepted events itself before any of theirs came).
if call('HGET', CTL, 'identity') == ARGV[9] then return 'same' end
local field, wanted = 'origin:' .. ARGV[9], tonumber(ARGV[10])
local base, last = string.match(call('HGET', CTL, field) or '', '^(%d+) (%d+)$')
base, last = tonumber(base), tonumber(last)
if base and base + wanted <= last then return int(base) end
local next_seq = (tonumber(call('HGET', CTL, 'seq')) or 0) + 1
local is_untouched = next_seq == (tonumber(call('HGET', CTL, 'taken_in_below')) or 1)
if base and is_untouched and last == next_seq then
  last = base + wanted -- The last range, and nothing behind it: it grows.
elseif base or is_untouched then
  base, last = next_seq - 1, next_seq - 1 + wanted
else
  return 'newer'
end
call('HSET', CTL, field, int(base) .. ' ' .. int(last))
if is_untouched then call('HSET', CTL, 'taken_in_below', int(last)) end
if last > next_seq then call('HSET', CTL, 'seq', int(last - 1)) end
return int(base)
