-- Lets leases last from now on; a lease of 0 is only looked at.
--
-- KEYS   for each: the name's `held`
-- ARGV   for each: owner, lease (ms)
-- Reply  for each: 1 renewed, 0 not held by this owner
-- Cost   O(leases), 100 at most
-- Test   lock/tests/redis/wire.rs

-- What becomes of a lease that is not simply held, or whose name is waited for.
local function renew(held, record, owner, lease)
  local holder, fence, metadata, ends = read(held, record)
  if holder == owner and lease > 0 then
    write(held, owner, fence, metadata, now + lease * 1000, ends ~= nil)
  end
  return holder == owner and 1 or 0
end

local renewed, records = {}, call('MGET', unpack(KEYS))
for index = 1, #KEYS do
  local held, owner, lease = KEYS[index], ARGV[2 * index - 1], ARGV[2 * index]
  local record, fence = records[index], nil
  if record and string.sub(record, 1, OWNER) == owner then
    fence = tonumber(string.match(record, '^ (%d+)', OWNER + 1))
  end
  -- As in `write`: the record goes with the lease, if the clock is past its fences by then.
  if fence and now + lease * 1000 > fence + SPAN - 1 and lease ~= '0' then
    call('PEXPIRE', held, lease)
    renewed[index] = 1
  else
    renewed[index] = renew(held, record, owner, tonumber(lease))
  end
end
return renewed
