-- Who has a plain key. Changes nothing.
--
-- KEYS   the key
-- Reply  {owner, left}  ms, -1 without an end
--        {}             free
-- Cost   O(1)
-- Test   lock/tests/redis/plain.rs

local holder = redis.call('GET', KEYS[1])
if not holder then
  return {}
end
return { holder, redis.call('PTTL', KEYS[1]) }
