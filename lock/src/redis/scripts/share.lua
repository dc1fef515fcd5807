-- Takes names beside others, stands in line for that, and gives them back: many calls in one script, done in
-- their order. An error ends its own call alone.
--
-- KEYS   for each call: the name's `held`; in a Cluster also its `readers` and its `shares`
-- ARGV   for each call one of
--          try | wait | poll, owner, lease (ms), metadata, not after (us, 0: whenever)
--          release, owner, lease, metadata, last fence that was used (of no use here)
--        on a node of a quorum for each call one more: how many seconds after its start the server votes
-- Reply  for each call
--          {1, fence, now}        shared by this owner
--          {2, place, left, now}  queued at `place` (0: the last); the last lease has `left` ms
--          {0, left, now}         held elsewhere, or others wait (try)
--          {3, now}               not known here (poll)
--          {4, now}               too late: nothing was done
--          1 | 0                  released, or there was nothing to release
-- Cost   O(log readers + log waiters); 128 readers let in at most, and 128 dead ones passed over
-- Test   lock/tests/redis/shared.rs, lock/tests/redis/quorum_readers.rs

-- Arguments of a call.
local SIZE = #ARGV * EACH / #KEYS

-- The fence of one who shares the name, or nothing.
local function fence_of(held, owner)
  local _, shares = shared(held)
  return tonumber(string.match(call('HGET', shares, owner) or '', '^%d+'))
end

-- Who has the name, once those whose leases have ended are forgotten.
local function holder_of(held)
  local holder, fence = read(held)
  if holder == READERS then
    reap(held)
    if last_end(held) <= now then
      settle(held, fence)
      holder, fence = read(held)
    end
  end
  return holder, fence
end

-- Shares a name that this owner may have for itself.
local function open(held, owner, fence, lease, metadata)
  call('DEL', shared(held))
  fence = fence + APART - 1
  let_in(held, owner, fence, lease, metadata)
  settle(held, admit(held, fence))
  return { 1, fence, now }
end

-- Joins the readers, if it may. A repeated call changes nothing but the lease.
local function join(held, owner, fence, lease, metadata, mode)
  if not fence_of(held, owner) then
    fence = admit(held, fence)
  end
  local own = fence_of(held, owner)
  if own then
    local readers = shared(held)
    call('ZADD', readers, digits(now + lease * 1000), owner)
  elseif mode ~= 'poll' and not is_waited(held) then
    own = math.max(now, fence + APART)
    let_in(held, owner, own, lease, metadata)
    fence = own
  end
  settle(held, fence)
  return own and { 1, own, now }
end

local function share(held, owner, lease, metadata, mode)
  together(held)
  local holder, fence = holder_of(held)
  if holder == READERS then
    local joined = join(held, owner, fence, lease, metadata, mode)
    if joined then
      return joined
    end
  elseif not holder then
    local last = fence
    holder, fence = promote(held, last, owner)
    if not holder and mode ~= 'poll' then
      holder, fence = owner, math.max(now, last + 1)
    end
  end
  if holder == owner then
    return open(held, owner, fence, lease, metadata)
  end
  return stand_in_line(held, owner, lease, metadata, mode)
end

local function leave(held, owner, lease, metadata)
  together(held)
  local holder, fence = holder_of(held)
  if holder == owner then
    -- Its turn had come, and it had not shared the name yet.
    vacate(held, fence)
    return 1
  end
  local readers, shares = shared(held)
  local had = holder == READERS and call('ZREM', readers, owner) or 0
  if had == 1 then
    call('HDEL', shares, owner)
  else
    had = leave_line(held, owner, lease, metadata)
  end
  if holder == READERS then
    settle(held, admit(held, fence))
  elseif not holder then
    vacate(held, fence)
  end
  return had
end

local function take(held, at)
  local mode, owner, lease, metadata = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local not_after, refusal = tonumber(ARGV[at + 4]), veto and veto(tonumber(ARGV[at + 5]))
  if refusal then
    return refusal
  end
  if not_after > 0 and now > not_after then
    return { 4, now }
  end
  return share(held, owner, lease, metadata, mode)
end

local function give(held, at)
  return leave(held, ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
end

local replies, at = {}, 1
for index = 1, #KEYS, EACH do
  local act = ARGV[at] == 'release' and give or take
  local done, reply = pcall(act, KEYS[index], at)
  if not done then
    reply = redis.error_reply(type(reply) == 'table' and reply.err or reply)
  end
  replies[#replies + 1], at = reply, at + SIZE
end
return replies
