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

-- `record` is what the name's key holds, if it was fetched.
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

local function take(held, at)
  if not in_time(at) then
    return { 4, now }
  end
  return acquire(held, ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at])
end

local function give(held, at, record)
  local owner, used = ARGV[at + 1], tonumber(ARGV[at + 4])
  return release(held, record, owner, ARGV[at + 2], ARGV[at + 3], used)
end

local function act(held, at, tried, record)
  local reply
  if not tried and not written[held] then
    reply, record = quick(held, at)
  end
  if reply then
    return reply
  end
  return (ARGV[at] == 'release' and give or take)(held, at, record)
end

-- From the first call that is not quick.
for index = first, #KEYS do
  local at = 1 + (index - 1) * SIZE
  local done, reply = pcall(act, KEYS[index], at, index == first, found)
  replies[index], found = done and reply or failed(reply), nil
end
return replies
