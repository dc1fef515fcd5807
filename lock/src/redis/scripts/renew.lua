-- Lets leases last from now on; a lease of 0 is only looked at.
--
-- KEYS   for each: the name's `held`
-- ARGV   for each: owner, lease (ms)
-- Reply  for each: 1 renewed, 0 not held by this owner
-- Cost   O(leases), 100 at most
-- Test   lock/tests/redis/wire.rs

local renewed = {}
for index = 1, #KEYS do
  local held, owner, lease = KEYS[index], ARGV[2 * index - 1], tonumber(ARGV[2 * index])
  local holder, fence, metadata, ends = read(held)
  renewed[index] = holder == owner and 1 or 0
  if holder == owner and lease > 0 then
    local until_then = now + lease * 1000
    if ends or until_then <= fence + SPAN - 1 then
      write(held, owner, fence, metadata, until_then, ends ~= nil)
    else
      call('PEXPIRE', held, lease)
    end
  end
end
return renewed
