-- What a replica has got of a name: its keys, and when they end. Nothing if a lease would last too long.
--
-- KEYS   those of the name, the holder's first
-- ARGV   how long (ms) a lease may last
-- Reply  for each key: what DUMP gives, when it ends (ms)

local held = redis.call('GET', KEYS[1]) or ''
local ends = tonumber(string.match(held, '^!(%d+)') or 0) / 1000
ends = ends > 0 and ends or redis.call('PEXPIRETIME', KEYS[1])
if ends > redis.call('TIME')[1] * 1000 + tonumber(ARGV[1]) then return {} end
local dump = {}
for _, key in ipairs(KEYS) do
  dump[#dump + 1] = redis.call('DUMP', key) or ''
  dump[#dump + 1] = tostring(redis.call('PEXPIRETIME', key))
end
return dump
