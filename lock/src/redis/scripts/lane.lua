-- Put before every script: the server's time, and the state of a name.
--
-- A name has three keys. Scripts are given the first and make the others from it, under the same hash tag.
--
-- ..:held     string  who holds it, in one of three forms
--                       owner fence metadata          for as long as the key lives; nobody waits
--                       !until owner fence metadata   until then; somebody waits, or the clock is behind
--                       #fence                        nobody; the clock is behind the last fence
-- ..:queue    zset    owners that wait, scored by their tickets; lives while somebody asks
-- ..:waiters  hash    owner -> "seen lease metadata"; lives as long as the queue
--
-- While somebody waits, the second form outlives its lease: whoever comes then finds that others were
-- first. Times are in microseconds since 1970 and, like fences, below 2^53, so numbers hold them exactly;
-- leases are in milliseconds. An owner is "channel:client:number", 16 hexadecimal digits each;
-- one who wants to share has a `~` for the first colon.

local call = redis.call
local time = call('TIME')
local now = time[1] * 1000000 + time[2]

-- Holds a name in the place of an owner while readers share it, see readers.lua.
local READERS = 'readers'
-- The length of an owner.
local OWNER = 50
-- A grant of fence F is one of F .. F + SPAN - 1: its process hands the lock on among its own waiters.
local SPAN = 64
-- A waiter that has not asked for so long (ms) is dead: it asks every 5 s.
local PATIENCE = 15000

-- A quorum's node may refuse to take part: then a call that takes has an argument more.
local veto, TAKE = nil, 5

-- In a Cluster: how long (ms) a grant lasts that is told by push, because a node counts its own listeners
-- only. Whoever hears of it asks again at once.
local CLAIM = nil

local function digits(number)
  return string.format('%.0f', number)
end

local function beside(held)
  local base = string.sub(held, 1, -5)
  return base .. 'queue', base .. 'waiters'
end

local function channel_of(owner)
  return 'mainstay:lock1:' .. string.sub(owner, 1, 16)
end

local function is_waited(held)
  return call('EXISTS', (beside(held))) == 1
end

-- The holder, its fence, its metadata, and when its lease ends if the record says so. Without a holder
-- nil, and the last fence that was used.
local function read(held)
  local record = call('GET', held)
  if not record then
    return nil, 0
  end
  local ends, owner, fence, metadata = string.match(record, '^!(%d+) (%S+) (%d+) (.*)$')
  if not ends then
    owner, fence, metadata = string.match(record, '^([^#]%S*) (%d+) (.*)$')
  end
  if not owner then
    return nil, tonumber(string.sub(record, 2)) or 0
  end
  fence, ends = tonumber(fence), tonumber(ends)
  if ends and ends <= now then
    return nil, fence + SPAN - 1
  end
  return owner, fence, metadata, ends
end

-- A record may go only once the clock has passed its fences.
local function write(held, owner, fence, metadata, ends, waited)
  local record, last = owner .. ' ' .. digits(fence) .. ' ' .. metadata, fence + SPAN - 1
  if waited or ends <= last then
    local stays = math.max(ends, last, waited and now + PATIENCE * 1000 or 0)
    record = '!' .. digits(ends) .. ' ' .. record
    call('SET', held, record, 'PX', math.ceil((stays - now) / 1000) + 1)
  else
    call('SET', held, record, 'PX', math.ceil((ends - now) / 1000))
  end
end

-- Gives the name to the first who waits and can be told; `me` need not be told. Returns the owner and
-- its fence, or nothing. Reclaims 128 dead waiters a call at most: the next call goes on.
local function promote(held, last, me)
  local queue, waiters = beside(held)
  for _ = 1, 128 do
    local head = call('ZPOPMIN', queue)[1]
    if not head then
      return nil
    end
    local waiter = call('HGET', waiters, head)
    call('HDEL', waiters, head)
    if waiter then
      local seen, lease, metadata = string.match(waiter, '^(%d+) (%d+) (.*)$')
      local fence = math.max(now, last + 1)
      local alive, term = head == me, tonumber(lease)
      if not alive and now - tonumber(seen) <= PATIENCE * 1000 then
        term = math.min(term, CLAIM or term)
        local grant = { 'grant', head, digits(fence), digits(now), digits(term), held }
        local channel = channel_of(head)
        -- Nobody listens: its process is gone. Seen before it is told, because whoever still listens at a
        -- replica, after a failover, would hear of a grant that goes to the next one.
        alive = CLAIM ~= nil or call('PUBSUB', 'NUMSUB', channel)[2] > 0
        if alive then
          call('PUBLISH', channel, table.concat(grant, ' '))
        end
      end
      if alive then
        local waited = is_waited(held)
        write(held, head, fence, metadata, now + term * 1000, waited)
        return head, fence
      end
    end
  end
end

-- Takes the name from its holder, whose last fence was `last`, and gives it on.
local function vacate(held, last)
  if promote(held, last, nil) then
    return
  end
  local waited = is_waited(held)
  if now > last and not waited then
    call('DEL', held)
  else
    -- Whoever comes next must see it.
    local stays = math.max(math.ceil((last - now) / 1000) + 1, waited and PATIENCE or 0)
    call('SET', held, '#' .. digits(last), 'PX', stays)
  end
end

-- Has the head of the queue ask.
local function look(queue)
  local head = call('ZRANGE', queue, 0, 0)[1]
  if head then
    call('PUBLISH', channel_of(head), 'look ' .. head)
  end
end

-- Puts an owner into the queue of a name that is held, or says where it stands there.
local function stand_in_line(held, owner, lease, metadata, mode)
  local queue, waiters = beside(held)
  local holder, fence, words, ends = read(held)
  local place = call('ZRANK', queue, owner)
  if not place then
    if mode == 'poll' then
      return { 3, now }
    end
    if mode == 'try' then
      local left = ends and math.ceil((ends - now) / 1000) or call('PTTL', held)
      return { 0, left, now }
    end
    local tail = call('ZRANGE', queue, -1, -1, 'WITHSCORES')[2]
    call('ZADD', queue, digits(math.max(now, tonumber(tail or 0) + 1)), owner)
    place = call('ZCARD', queue) - 1
  end
  call('HSET', waiters, owner, digits(now) .. ' ' .. digits(lease) .. ' ' .. metadata)
  call('PEXPIRE', queue, PATIENCE)
  call('PEXPIRE', waiters, PATIENCE)
  if not holder then
    -- The dead at the head were too many for one call.
    return { 2, place + 1, 0, now }
  end
  -- The holder's release is to look for those who wait.
  ends = ends or now + call('PTTL', held) * 1000
  write(held, holder, fence, words, ends, true)
  return { 2, place + 1, math.ceil((ends - now) / 1000), now }
end
