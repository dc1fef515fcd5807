-- Deletes a plain key if this owner has it.
--
-- KEYS   the key
-- ARGV   owner
-- Reply  1 it had it, 0 it had not
-- Cost   O(1)
-- Test   lock/tests/redis/plain.rs

if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
