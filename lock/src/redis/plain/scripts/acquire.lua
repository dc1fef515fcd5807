-- Takes a plain key, or tells how long it is taken. A repeated call changes nothing but the lease of
-- one who holds it.
--
-- KEYS   the key
-- ARGV   owner, lease (ms), mode (take | look)
-- Reply  {1, now}   held by this owner; the server's time in microseconds
--        {0, left}  held elsewhere; ms, -1 without an end
--        {2, 0}     free (look)
-- Cost   O(1)
-- Test   lock/tests/redis/plain.rs

local key, owner, lease, mode = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local holder = redis.call('GET', key)
if holder == owner then
  redis.call('PEXPIRE', key, lease)
  return { 1, now }
end
if holder then
  return { 0, redis.call('PTTL', key) }
end
if mode == 'look' then
  return { 2, 0 }
end
redis.call('SET', key, owner, 'NX', 'PX', lease)
return { 1, now }
