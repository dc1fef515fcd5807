-- Who holds the name, and how many wait. Changes nothing.
--
-- KEYS   the four of the name
-- Reply  {waiters, now}, and if it is held: owner, fence, granted, left (ms), metadata
-- Cost   O(1)
-- Test   lock/tests/redis/wire.rs

local shown = { redis.call('ZCARD', queue), now }
local record = redis.call('GET', held)
if record then
  local owner, fence, granted, _, metadata = parse(record)
  for _, field in ipairs({ owner, fence, granted, redis.call('PTTL', held), metadata }) do
    shown[#shown + 1] = field
  end
end
return shown
