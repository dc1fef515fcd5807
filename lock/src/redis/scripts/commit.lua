-- Takes names, stands in line for them, and gives them back: many calls in one script, done in their
-- order. An error ends its own call alone.
--
-- KEYS   for each call: the name's `held`
-- ARGV   for each call one of
--          try | wait | poll, owner, lease (ms), metadata, not after (us, 0: whenever)
--          release, owner, lease, metadata, last fence that was used ('': the one granted)
-- Reply  for each call
--          fence                  held by this owner from now on: its fence is also the server's time
--          {1, fence, now}        held by this owner
--          {2, place, left, now}  queued at `place` (0: the last); the holder's lease has `left` ms
--          {0, left, now}         held elsewhere (try)
--          {3, now}               not known here (poll)
--          {4, now}               too late: nothing was done
--          1 | 0                  released, or there was nothing to release
-- Cost   a free name: O(1), one command to acquire and two to release; else O(log waiters), and O(dead
--        waiters) once for each of them
-- Test   lock/tests/redis/wire.rs

-- A repeated call changes nothing but the lease of one who holds it.
local function acquire(held, owner, lease, metadata, mode)
  local holder, fence, words, ends = read(held)
  if holder == owner then
    write(held, owner, fence, words, now + lease * 1000, ends ~= nil)
    return { 1, fence, now }
  end
  if not holder then
    local last = fence
    local next, granted = promote(held, last, owner)
    if not next and mode ~= 'poll' then
      local waited = granted
      next, granted = owner, math.max(now, last + 1)
      write(held, owner, granted, metadata, now + lease * 1000, waited)
    end
    if next == owner then
      return { 1, granted, now }
    end
  end
  return stand_in_line(held, owner, lease, metadata, mode)
end

-- `record` is what the name's key holds.
local function release(held, record, owner, lease, metadata, used)
  local holder, fence = read(held, record)
  if holder == owner then
    vacate(held, math.max(fence, used or 0))
    return 1
  end
  local had = leave_line(held, owner, lease, metadata)
  if not holder then
    vacate(held, fence)
  elseif had == 1 and holder == READERS then
    -- Readers behind it may have waited for nothing else.
    look((beside(held)))
  end
  return had
end

local function take(held, at, stamp)
  local refusal = veto and veto(tonumber(ARGV[at + 5]))
  if refusal then
    return refusal
  end
  local mode, owner, lease, metadata = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local not_after = tonumber(ARGV[at + 4])
  if not_after > 0 and now > not_after then
    return { 4, now }
  end
  if mode ~= 'poll' and not written[held] and call('SET', held, owner .. stamp .. metadata, 'NX', 'PX', lease) then
    return now
  end
  return acquire(held, owner, lease, metadata, mode)
end

local function give(held, at)
  local owner, used = ARGV[at + 1], tonumber(ARGV[at + 4])
  local record = call('GET', held)
  if used and now > used then
    if record and string.sub(record, 1, OWNER) == owner then
      call('DEL', held)
      written[held] = nil
      return 1
    end
  end
  return release(held, record, owner, ARGV[at + 2], ARGV[at + 3], used)
end

local replies, at, stamp = {}, 1, ' ' .. digits(now) .. ' '
for index = 1, #KEYS do
  local act, size = take, TAKE
  if ARGV[at] == 'release' then
    act, size = give, 5
  end
  local done, reply = pcall(act, KEYS[index], at, stamp)
  if not done then
    reply = redis.error_reply(type(reply) == 'table' and reply.err or reply)
  end
  replies[index], at = reply, at + size
end
return replies
