-- Notes a new token.
--
-- KEYS[1]  string  the token: "ttl" until it is used
-- ARGV     how long it can be used for the first time (ms)
-- Reply    OK
-- Cost     O(1)
-- Test     lock/tests/redis/tokens.rs

return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[1])
