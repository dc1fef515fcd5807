-- Lets the leases of readers last from now on; a lease of 0 is only looked at.
--
-- KEYS   for each: the name's `held`; in a Cluster also its `readers` and its `shares`
-- ARGV   for each: owner, lease (ms)
-- Reply  for each: 1 renewed, 0 not held by this owner
-- Cost   O(leases log readers), 100 at most
-- Test   lock/tests/redis/shared.rs

local renewed = {}
for index = 1, #KEYS / EACH do
  local held = KEYS[EACH * (index - 1) + 1]
  local owner, lease = ARGV[2 * index - 1], tonumber(ARGV[2 * index])
  local holder, fence = read(held)
  local readers = shared(held)
  local ends = holder == READERS and tonumber(call('ZSCORE', readers, owner) or 0) or 0
  renewed[index] = ends > now and 1 or 0
  if ends > now and lease > 0 then
    call('ZADD', readers, digits(now + lease * 1000), owner)
    settle(held, fence)
  end
end
return renewed
