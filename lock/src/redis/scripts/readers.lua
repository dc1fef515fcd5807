-- Put behind lane.lua by the scripts that know of readers.
--
-- A name that is shared is held by a mark in the place of an owner, so that to all others it is simply held:
--
-- ..:held     READERS, the highest fence of a reader; until the last of their leases ends
-- ..:readers  zset  the owners that share the name, scored by the ends of their leases
-- ..:shares   hash  owner -> "fence metadata"
--
-- The last two live as long as the last lease, and mean something only while the mark holds the name. The
-- first separator of a reader's owner is `~`.
--
-- In a Cluster each call names all three in KEYS: while its slot migrates they may be on two nodes, and a node
-- that does not have all of them refuses the call.
--
-- Whoever gives a name on treats a reader at the head as any other waiter, and tells it so. The reader then
-- asks, finds that the name is its own, and shares it with the readers next to it.

-- The keys of one call.
local EACH = CLAIM and 3 or 1
-- So far apart are the fences that readers draw. On a node of a quorum the fence that its votes come to lies above the
-- drawn one, by less than there are nodes.
local APART = veto and SPAN or 1

local function is_reader(owner)
  return string.sub(owner, 17, 17) == '~'
end

local function shared(held)
  local base = string.sub(held, 1, -5)
  return base .. 'readers', base .. 'shares'
end

-- Before anything is changed: the refusal of a call that is given the first key only, in a Cluster where another of
-- them may be on another node.
local function parted(held)
  local queue, asked = beside(held)
  return torn and torn(held, queue, asked, shared(held))
end

-- Forgets readers whose leases have ended: 128 a call at most, the next call goes on.
local function reap(held)
  local readers, shares = shared(held)
  local over = call('ZRANGEBYSCORE', readers, '-inf', digits(now), 'LIMIT', 0, 128)
  if #over > 0 then
    call('ZREM', readers, unpack(over))
    call('HDEL', shares, unpack(over))
  end
end

local function let_in(held, owner, fence, lease, metadata)
  local readers, shares = shared(held)
  call('ZADD', readers, digits(now + lease * 1000), owner)
  call('HSET', shares, owner, digits(fence) .. ' ' .. metadata)
end

-- Lets in the readers at the head of the queue, and passes over who has not asked for long: 128 a call at
-- most. Returns the highest fence.
local function admit(held, fence)
  local queue, asked = beside(held)
  for _ = 1, 128 do
    local waiter, came = unpack(call('ZRANGE', queue, 0, 0, 'WITHSCORES'))
    if not waiter then
      return fence
    end
    local head, lease, metadata, alive = waiter_of(asked, waiter, came)
    if alive and not is_reader(head) then
      return fence
    end
    call('ZREM', queue, waiter)
    call('HDEL', asked, head or '')
    if alive then
      local own, term = math.max(now, fence + APART), math.min(lease, CLAIM or lease)
      local share = { 'share', head, digits(own), digits(now), digits(term), held }
      local channel = channel_of(head)
      -- Nobody listens: its process is gone. Seen before it is told, as where one is promoted.
      if CLAIM or call('PUBSUB', 'NUMSUB', channel)[2] > 0 then
        call('PUBLISH', channel, table.concat(share, ' '))
        let_in(held, head, own, term, metadata)
        fence = own
      end
    end
  end
  -- Whoever is next asks, and this goes on.
  look(queue)
  return fence
end

-- When the last lease of a reader ends.
local function last_end(held)
  return tonumber(call('ZRANGE', (shared(held)), -1, -1, 'WITHSCORES')[2] or 0)
end

-- Lets the mark last as long as the last reader, or gives the name on if there is none.
local function settle(held, fence)
  local readers, shares = shared(held)
  local ends = last_end(held)
  if ends <= now then
    call('DEL', readers, shares)
    vacate(held, fence)
    return
  end
  write(held, READERS, fence, '', ends, is_waited(held))
  local left = math.ceil((ends - now) / 1000)
  call('PEXPIRE', readers, left)
  call('PEXPIRE', shares, left)
end
