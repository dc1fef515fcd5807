-- Lets a lease last from now on if this owner has it.
--
-- KEYS   the key
-- ARGV   owner, lease (ms)
-- Reply  1 renewed, 0 not held by this owner
-- Cost   O(1)
-- Test   lock/tests/redis/plain.rs

if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
