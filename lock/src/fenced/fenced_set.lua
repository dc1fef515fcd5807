-- Writes a value unless a higher fence has written; remembers the fence.
--
-- KEYS   the value and its fence, which share a hash tag
-- ARGV   fence, value, ttl (ms; 0 removes the value), how long the fence is remembered (ms, not less)
-- Reply  the highest fence: higher than ours if ours was refused
-- Cost   O(1)
-- Test   lock/tests/fenced/store.rs

local seen = redis.call('GET', KEYS[2])
if seen and tonumber(seen) > tonumber(ARGV[1]) then
  return seen
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[4])
if ARGV[3] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return ARGV[1]
