-- Lets leases last from now on; a lease of 0 is only looked at.
--
-- KEYS   for each: the name's `held`
-- ARGV   for each: owner, lease (ms)
-- Reply  for each: 1 renewed, 0 not held by this owner
-- Cost   O(leases), 100 at most
-- Test   lock/tests/redis/wire.rs

-- What extend.lua left over: leases that are not simply held, or whose names are waited for.
for _, index in ipairs(rest) do
  local held, owner, lease = KEYS[index], ARGV[2 * index - 1], tonumber(ARGV[2 * index])
  local holder, fence, metadata, ends = read(held, records[index])
  if holder == owner and lease > 0 then
    write(held, owner, fence, metadata, now + lease * 1000, ends ~= nil)
  end
  renewed[index] = holder == owner and 1 or 0
end
return renewed
