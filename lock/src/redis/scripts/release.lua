-- Gives back what an owner has: the name, which goes to the head of the queue, or its place in it.
--
-- KEYS   the four of the name
-- ARGV   owner, patience (ms)
-- Reply  1 it had something, 0 it had nothing
-- Cost   O(log waiters)
-- Test   lock/tests/redis/wire.rs

local owner, patience = ARGV[1], tonumber(ARGV[2])

local record = redis.call('GET', held)
if record then
  local holder, fence = parse(record)
  if holder == owner then
    vacate(fence, patience)
    return 1
  end
end
local had = redis.call('ZREM', queue, owner)
redis.call('HDEL', waiters, owner)
if not record then
  promote(last_fence(), patience, nil)
end
return had
