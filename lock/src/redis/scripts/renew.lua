-- Lets leases last from now on; a lease of 0 is only looked at.
--
-- KEYS   for each: the holder (the first of its four) and the last fence (the fourth)
-- ARGV   for each: owner, lease (ms)
-- Reply  for each: 1 renewed, 0 not held by this owner
-- Cost   O(leases), 100 at most
-- Test   lock/tests/redis/wire.rs

local renewed = {}
for index = 1, #KEYS / 2 do
  local key, owner, lease = KEYS[2 * index - 1], ARGV[2 * index - 1], tonumber(ARGV[2 * index])
  local record = redis.call('GET', key)
  local holder, fence
  if record then
    holder, fence = parse(record)
  end
  renewed[index] = holder == owner and 1 or 0
  if holder == owner and lease > 0 then
    redis.call('PEXPIRE', key, lease)
    if now + lease * 1000 <= fence then
      bury(KEYS[2 * index], fence)
    end
  end
end
return renewed
