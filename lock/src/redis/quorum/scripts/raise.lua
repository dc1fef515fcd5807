-- Lets leases last from now on and writes the fences that a majority agreed on. A fence never falls: a node
-- whose vote came late may have drawn a higher one, which nobody was told.
--
-- KEYS   for each: the holder (the first of its four) and the last fence (the fourth)
-- ARGV   mode (raise | renew), channel; for each: owner, lease (ms), fence, metadata
-- Reply  for each: 1 done, 0 held by somebody else or (raise) by nobody, 2 (renew) it was free and is held now
-- Cost   O(leases), 100 at most
-- Test   lock/tests/redis/quorum.rs

local mode, my_channel = ARGV[1], ARGV[2]

local function write(key, tomb_key, owner, granted, channel, metadata, lease, fence)
  local record = table.concat({ owner, digits(fence), digits(granted), channel, metadata }, ' ')
  redis.call('SET', key, record, 'PX', lease)
  if now + lease * 1000 <= fence then
    bury(tomb_key, fence)
  end
end

local answers = {}
for index = 1, #KEYS / 2 do
  local key, tomb_key = KEYS[2 * index - 1], KEYS[2 * index]
  local owner, lease, agreed = ARGV[4 * index - 1], tonumber(ARGV[4 * index]), tonumber(ARGV[4 * index + 1])
  local record = redis.call('GET', key)
  answers[index] = 0
  if record then
    local holder, fence, granted, channel, metadata = parse(record)
    if holder == owner then
      write(key, tomb_key, owner, granted, channel, metadata, lease, math.max(agreed, fence))
      answers[index] = 1
    end
  elseif mode == 'renew' then
    local last = tonumber(redis.call('GET', tomb_key) or 0)
    write(key, tomb_key, owner, now, my_channel, ARGV[4 * index + 2], lease, math.max(agreed, last))
    answers[index] = 2
  end
end
return answers
