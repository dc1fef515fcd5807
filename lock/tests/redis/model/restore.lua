-- Puts a name back to what a replica had got of it.
--
-- KEYS   those of the name
-- ARGV   for each: what DUMP gave, when it ends (ms)

redis.call('DEL', unpack(KEYS))
for index, key in ipairs(KEYS) do
  local dump, ends = ARGV[2 * index - 1], ARGV[2 * index]
  if dump ~= '' then redis.call('RESTORE', key, ends, dump, 'ABSTTL') end
end
return 1
