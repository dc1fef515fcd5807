-- Takes the name, stands in line for it, or tells what became of it. A repeated call changes nothing
-- but the lease of one who holds it.
--
-- KEYS   the four of the name
-- ARGV   owner, lease (ms), channel, metadata, mode (try | wait | poll), patience (ms)
-- Reply  {1, fence, now}        held by this owner
--        {2, place, left, now}  queued at `place`; the holder's lease has `left` ms
--        {0, left, now}         held elsewhere (try)
--        {3, now}               not known here (poll)
-- Cost   O(log waiters), and O(dead waiters) once for each of them
-- Test   lock/tests/redis/wire.rs

local owner, lease, channel, metadata, mode = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local patience = tonumber(ARGV[6])

local record, last = unpack(redis.call('MGET', held, tomb), 1, 2)
if record then
  local holder, fence = parse(record)
  if holder == owner then
    redis.call('PEXPIRE', held, lease)
    if now + lease * 1000 <= fence then
      bury(tomb, fence)
    end
    return { 1, fence, now }
  end
else
  last = tonumber(last or 0)
  local winner, fence = promote(last, patience, owner)
  if not winner and mode ~= 'poll' then
    winner, fence = owner, math.max(now, last + 1)
    install(owner, lease, channel, metadata, fence)
  end
  if winner == owner then
    return { 1, fence, now }
  end
end

local place = redis.call('ZRANK', queue, owner)
if not place then
  if mode == 'poll' then
    return { 3, now }
  end
  local left = redis.call('PTTL', held)
  if mode == 'try' then
    return { 0, left, now }
  end
  local tail = redis.call('ZRANGE', queue, -1, -1, 'WITHSCORES')[2]
  redis.call('ZADD', queue, digits(math.max(now, tonumber(tail or 0) + 1)), owner)
  place = redis.call('ZCARD', queue) - 1
end
redis.call('HSET', waiters, owner, table.concat({ digits(now), digits(lease), channel, metadata }, ' '))
redis.call('PEXPIRE', queue, patience)
redis.call('PEXPIRE', waiters, patience)
return { 2, place + 1, redis.call('PTTL', held), now }
