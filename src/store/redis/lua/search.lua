-- People with a word that begins so, each once. ARGV[2] rows at the most, [3] bytes of each lane, [4] the beginning,
-- [5] the member of TERMS after which it goes on, or ''. Answers the member where it ended, or '', then the rows.
local rows_max, prefix, after = tonumber(ARGV[2]), ARGV[4], ARGV[5]
-- Members looked at in one call: everybody waits while it runs.
local LOOKED_AT_MAX = 1000

-- Whether no word of theirs that begins so comes before this one: by that they were listed.
local function is_first(member, id)
  local rank
  for _, field in ipairs(try('HKEYS', ROOT .. 'k' .. id) or {}) do
    if string.sub(field, 1, #prefix + 1) == 't' .. prefix then
      local other = string.sub(field, 2) .. '\0' .. id
      if other ~= member then
        rank = rank or call('ZRANK', TERMS, member)
        local before = call('ZRANK', TERMS, other)
        if before and before < rank then return false end
      end
    end
  end
  return true
end

-- No text in UTF-8 has a byte of 255.
local from = after == '' and '[' .. prefix or '(' .. after
local members = try('ZRANGE', TERMS, from, '(' .. prefix .. '\255', 'BYLEX', 'LIMIT', 0, LOOKED_AT_MAX) or {}
for _, member in ipairs(members) do
  local id = string.sub(member, -8)
  if is_first(member, id) and not show(id, rows_max, tonumber(ARGV[3])) then return { broken, member, unpack(rows) } end
end
return { broken, #members == LOOKED_AT_MAX and members[#members] or '', unpack(rows) }
