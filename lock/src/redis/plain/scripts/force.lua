-- Deletes a plain key, whoever has it.
--
-- KEYS   the key
-- Reply  {owner} as it was, or {} if there was none
-- Cost   O(1)
-- Test   lock/tests/redis/plain.rs

local holder = redis.call('GET', KEYS[1])
if not holder then
  return {}
end
redis.call('DEL', KEYS[1])
return { holder }
