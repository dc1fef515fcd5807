-- Takes the name from whoever holds it, tells them, and gives it to the head of the queue.
--
-- KEYS   the name's `held`
-- ARGV   reason
-- Reply  1 it was held, 0 it was not
-- Cost   O(log waiters)
-- Test   lock/tests/redis/wire.rs

local held = KEYS[1]
local holder, fence = read(held)
if not holder then
  vacate(held, fence)
  return 0
end
-- The old holder is told before the new one. Which of its fences it has used nobody knows here.
call('PUBLISH', channel_of(holder), table.concat({ 'lose', holder, ARGV[1] }, ' '))
vacate(held, fence + SPAN - 1)
return 1
