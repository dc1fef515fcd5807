-- Put behind head.lua: the state of a name.
--
-- A name has three keys. Scripts are given the first and make the others from it, under the same hash tag.
--
-- ..:held     string  who holds it, in one of three forms
--                       owner fence metadata          for as long as the key lives; nobody waits
--                       !until owner fence metadata   until then; somebody waits, or the clock is behind
--                       #fence                        nobody; the clock is behind the last fence
-- ..:queue    zset    "owner lease metadata" of those who wait, scored by when they came; lives while
--                     somebody asks
-- ..:asked    hash    owner -> when it asked last, for those who came more than a second ago
--
-- While somebody waits, the second form outlives its lease: whoever comes then finds that others were
-- first. It may say so of a queue whose last waiter has just gone. Times are in microseconds since 1970 and, like fences, below 2^53, so numbers hold them exactly;
-- leases are in milliseconds. An owner is "channel:client:number", 16 hexadecimal digits each;
-- one who wants to share has a `~` for the first colon.

-- Holds a name in the place of an owner while readers share it, see readers.lua.
local READERS = 'readers'
-- A waiter that has not asked for so long (ms) is dead: it asks every 5 s.
local PATIENCE = 15000
-- Those who wait see to it once in so long (us) that the queue lives on.
local EPOCH = 5000000
-- A waiter that came so lately (us) need not have asked again.
local FRESH = 1000000

-- In a Cluster: how long (ms) a grant lasts that is told by push, because a node counts its own listeners
-- only. Whoever hears of it asks again at once.
local CLAIM = nil
-- In a Cluster: the refusal of a call about a name of which a part is on another node, see cluster.lua.
local torn = nil

local function digits(number)
  return string.format('%.0f', number)
end

local function beside(held)
  local base = string.sub(held, 1, -5)
  return base .. 'queue', base .. 'asked'
end

-- Before the queue is looked at, and anything is changed: half of a name must not pass for all of it.
local function together(held)
  local refusal = torn and torn(held, beside(held))
  if refusal then
    error(refusal)
  end
end

local function channel_of(owner)
  return 'mainstay:lock1:' .. string.sub(owner, 1, 16)
end

local function is_waited(held)
  return call('EXISTS', (beside(held))) == 1
end

-- The records that this script wrote, by name, as `read` returns them.
local written = {}

-- The holder, its fence, its metadata, and when its lease ends if the record says so. Without a holder
-- nil, and the last fence that was used. `record` is given if it was fetched already.
local function read(held, record)
  local known = written[held]
  if known then
    return known.owner, known.fence, known.metadata, known.ends
  end
  if record == nil then
    record = call('GET', held)
  end
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
    ends = nil
  end
  written[held] = { owner = owner, fence = fence, metadata = metadata, ends = ends }
end

local function entry(owner, lease, metadata)
  return owner .. ' ' .. lease .. ' ' .. metadata
end

-- One who stands in the queue: its owner, its lease (ms), its metadata, and whether it asked lately.
local function waiter_of(asked, waiter, came)
  local owner, lease, metadata = string.match(waiter, '^(%S+) (%d+) (.*)$')
  local seen = tonumber(came)
  if owner and now - seen > FRESH then
    seen = math.max(seen, tonumber(call('HGET', asked, owner) or 0))
  end
  return owner, tonumber(lease), metadata, now - seen <= PATIENCE * 1000
end

local function leave_line(held, owner, lease, metadata)
  together(held)
  local queue, asked = beside(held)
  call('HDEL', asked, owner)
  return call('ZREM', queue, entry(owner, lease, metadata))
end

-- Gives the name to the first who waits and can be told; `me` need not be told. Returns the owner and
-- its fence, or nil and whether somebody may wait still. Reclaims 128 dead waiters a call at most: the
-- next call goes on.
local function promote(held, last, me)
  together(held)
  local queue, asked = beside(held)
  for _ = 1, 128 do
    local waiter, came = unpack(call('ZPOPMIN', queue))
    if not waiter then
      return nil, false
    end
    local head, term, metadata, alive = waiter_of(asked, waiter, came)
    if head and now - came > FRESH then
      call('HDEL', asked, head)
    end
    local fence = math.max(now, last + 1)
    if head ~= me and alive then
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
    if head and (head == me or alive) then
      -- Whether others wait behind it, its release finds out.
      write(held, head, fence, metadata, now + term * 1000, true)
      return head, fence
    end
  end
  return nil, true
end

-- Takes the name from its holder, whose last fence was `last`, and gives it on.
local function vacate(held, last)
  local next, waited = promote(held, last, nil)
  if next then
    return
  end
  if now > last and not waited then
    call('DEL', held)
  else
    -- Whoever comes next must see it.
    local stays = math.max(math.ceil((last - now) / 1000) + 1, waited and PATIENCE or 0)
    call('SET', held, '#' .. digits(last), 'PX', stays)
  end
  written[held] = nil
end

-- Has the head of the queue ask.
local function look(queue)
  local head = call('ZRANGE', queue, 0, 0)[1]
  if head then
    local owner = string.sub(head, 1, OWNER)
    call('PUBLISH', channel_of(owner), 'look ' .. owner)
  end
end

-- Puts a waiter at the end of the queue. Returns its place, 0 if that is not looked up, and whether the queue
-- lives long enough; nil if it stands there already.
local function come(held, queue, waiter)
  local came = tonumber(call('ZRANGE', queue, -1, -1, 'WITHSCORES')[2] or 0)
  if call('ZADD', queue, 'NX', digits(math.max(now, came + 1)), waiter) == 0 then
    return nil
  end
  -- Where this script has just given the name on, its process comes last and knows that.
  local place = written[held] and 0 or call('ZCARD', queue)
  return place, math.floor(came / EPOCH) == math.floor(now / EPOCH)
end

-- Notes that a waiter asks again. Returns its place, or nil if it does not stand in the queue.
local function ask_again(queue, asked, owner, waiter)
  local came = call('ZSCORE', queue, waiter)
  if not came then
    return nil
  end
  if now - came > FRESH then
    call('HSET', asked, owner, digits(now))
    call('PEXPIRE', asked, PATIENCE)
  end
  return call('ZRANK', queue, waiter) + 1, false
end

-- Puts an owner into the queue of a name that is held, or says where it stands there.
local function stand_in_line(held, owner, lease, metadata, mode)
  local queue, asked = beside(held)
  local waiter, place, lives = entry(owner, lease, metadata), nil, nil
  if mode ~= 'try' then
    together(held)
  end
  if mode == 'wait' then
    place, lives = come(held, queue, waiter)
  end
  if not place and mode ~= 'try' then
    place, lives = ask_again(queue, asked, owner, waiter)
  end
  local holder, fence, words, ends = read(held)
  if not place then
    if mode == 'poll' then
      return { 3, now }
    end
    local left = ends and math.ceil((ends - now) / 1000) or call('PTTL', held)
    return { 0, left, now }
  end
  if not lives then
    call('PEXPIRE', queue, PATIENCE)
  end
  if not holder then
    -- The dead at the head were too many for one call.
    return { 2, place, 0, now }
  end
  -- The holder's release is to look for those who wait, and the record is to last as long as they do.
  if not lives or not ends then
    ends = ends or now + call('PTTL', held) * 1000
    write(held, holder, fence, words, ends, true)
  end
  return { 2, place, math.ceil((ends - now) / 1000), now }
end
