-- Put between head.lua and lane.lua by renew.lua: leases of names that nobody waits for, which is most of them. They
-- take a command each, and where all are of that kind nothing behind this is run.
--
-- Test   lock/tests/redis/wire.rs, lock/tests/redis/fences.rs

local find, sub, byte = string.find, string.sub, string.byte

-- Where the fence of a record "owner fence metadata" is while it has 16 digits: from 2001 to 2286.
local FENCE, SPACE = OWNER + 2, OWNER + 18

local renewed, records, rest = {}, call('MGET', unpack(KEYS)), {}
-- The last lease, and the fences that will be past when it ends: texts of one length are in the order of their numbers.
local term, past
for index = 1, #KEYS do
  local owner, lease, record = ARGV[2 * index - 1], ARGV[2 * index], records[index]
  if lease ~= term then
    term, past = lease, string.format('%.0f', now + lease * 1000 - SPAN)
  end
  -- As in `write`: the record goes with the lease, if the clock is past its fences by then.
  if record and lease ~= '0' and find(record, owner, 1, true) == 1
      and byte(record, SPACE) == 32 and sub(record, FENCE, SPACE - 1) <= past then
    call('PEXPIRE', KEYS[index], lease)
    renewed[index] = 1
  else
    rest[#rest + 1] = index
  end
end
if not rest[1] then
  return renewed
end
