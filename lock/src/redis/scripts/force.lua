-- Takes the name from whoever holds it, tells them, and gives it to the head of the queue.
--
-- KEYS   the four of the name
-- ARGV   reason, patience (ms)
-- Reply  1 it was held, 0 it was not
-- Cost   O(log waiters)
-- Test   lock/tests/redis/wire.rs

local reason, patience = ARGV[1], tonumber(ARGV[2])

local record = redis.call('GET', held)
if not record then
  promote(last_fence(), patience, nil)
  return 0
end
local holder, fence, _, channel = parse(record)
-- The old holder is told before the new one.
redis.call('PUBLISH', channel, table.concat({ 'lose', holder, reason }, ' '))
vacate(fence, patience)
return 1
