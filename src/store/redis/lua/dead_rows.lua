-- Dead letters. DEAD: id (16 bytes) -> one string, read by position: format (1), whether unmapped (1), when it died in
-- ms (6), person (8; zeros: none), length (1) and code, length (1) and source; then the row, which only Rust reads.
-- DEAD_AT: id by when it died. PAYLOADS: id -> the record as it was received. UNMAPPED: person and id, in order.
-- DEAD_OF: person -> id of their own. DEAD_COUNT: '#' all, c CODE, s SOURCE, b SOURCE (bytes of payloads), '#b'.
local NOBODY = string.rep('\0', 8)

local function dead_fields(id)
  local row = try('HGET', DEAD, id)
  if not row then return nil end
  local read, format, unmapped, died_at, person, code, source = pcall(struct.unpack, '>BBI6c8Bc0Bc0', row)
  if read and format == 1 then return unmapped == 1, died_at, person, code, source end
  broken[#broken + 1] = DEAD
end

local function count_dead(delta, code, source)
  try('HINCRBY', DEAD_COUNT, '#', delta)
  try('HINCRBY', DEAD_COUNT, 'c' .. code, delta)
  try('HINCRBY', DEAD_COUNT, 's' .. source, delta)
end

local function count_bytes(delta, source)
  try('HINCRBY', DEAD_COUNT, '#b', delta)
  try('HINCRBY', DEAD_COUNT, 'b' .. source, delta)
end

-- Drops a dead letter. Returns whether there was one.
local function drop_dead(id)
  local unmapped, _, person, code, source = dead_fields(id)
  if not code then return false end
  local bytes = try('HSTRLEN', PAYLOADS, id) or 0
  try('HDEL', DEAD, id)
  try('ZREM', DEAD_AT, id)
  count_dead(-1, code, source)
  if unmapped then
    count_bytes(0 - bytes, source)
    try('HDEL', PAYLOADS, id)
    try('ZREM', UNMAPPED, person .. id)
  else
    try('HDEL', DEAD_OF, person)
  end
  return true
end

-- Keeps a dead letter, in place of any with the same id. Only an unmapped record has a `payload`.
local function keep_dead(id, row, payload)
  drop_dead(id)
  try('HSET', DEAD, id, row)
  local unmapped, died_at, person, code, source = dead_fields(id)
  try('ZADD', DEAD_AT, int(died_at), id)
  count_dead(1, code, source)
  if unmapped then
    try('HSET', PAYLOADS, id, payload)
    count_bytes(#payload, source)
    if person ~= NOBODY then try('ZADD', UNMAPPED, 0, person .. id) end
  else
    try('HSET', DEAD_OF, person, id)
  end
end
