-- Put before every script: the server's time, and the state of one name.
--
-- KEYS[1]  string  the holder: "owner fence granted channel metadata"; lives as long as the lease
-- KEYS[2]  zset    owners that wait, scored by their tickets; lives while somebody asks
-- KEYS[3]  hash    owner -> "seen lease channel metadata"; lives as long as KEYS[2]
-- KEYS[4]  string  the last fence, only while the server's clock is behind it
--
-- Times are in microseconds since 1970 and, like fences, below 2^53, so numbers hold them exactly;
-- leases are in milliseconds. An owner and a channel have no spaces.

local held, queue, waiters, tomb = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function digits(number)
  return string.format('%.0f', number)
end

-- owner, fence, granted, channel, metadata
local function parse(record)
  local owner, fence, granted, channel, metadata =
    string.match(record, '^(%S+) (%d+) (%d+) (%S+) (.*)$')
  return owner, tonumber(fence), tonumber(granted), channel, metadata
end

-- A record may go only once the clock has passed its fence: until then the fence is kept apart.
local function bury(key, fence)
  redis.call('SET', key, digits(fence), 'PXAT', digits(math.floor(fence / 1000) + 1))
end

local function last_fence()
  return tonumber(redis.call('GET', tomb) or 0)
end

local function install(owner, lease, channel, metadata, fence)
  local record = table.concat({ owner, digits(fence), digits(now), channel, metadata }, ' ')
  redis.call('SET', held, record, 'PX', lease)
  if now + lease * 1000 <= fence then
    bury(tomb, fence)
  end
end

-- Gives the name to the first who waits and can be told; `me` need not be told. Returns the owner and
-- its fence, or nothing. Reclaims 128 dead waiters a call at most: the next call goes on.
local function promote(last, patience, me)
  for _ = 1, 128 do
    local head = redis.call('ZPOPMIN', queue)[1]
    if not head then
      return nil
    end
    local waiter = redis.call('HGET', waiters, head)
    redis.call('HDEL', waiters, head)
    if waiter then
      local seen, lease, channel, metadata = string.match(waiter, '^(%d+) (%d+) (%S+) (.*)$')
      lease = tonumber(lease)
      local fence = math.max(now, last + 1)
      local alive = head == me
      if not alive and now - tonumber(seen) <= patience * 1000 then
        local grant = { 'grant', head, digits(fence), digits(now), digits(lease), held }
        -- Nobody listens: its process is gone.
        alive = redis.call('PUBLISH', channel, table.concat(grant, ' ')) > 0
      end
      if alive then
        install(head, lease, channel, metadata, fence)
        return head, fence
      end
    end
  end
end

-- Takes the name from its holder, who had `fence`, and gives it on.
local function vacate(fence, patience)
  if not promote(fence, patience, nil) then
    redis.call('DEL', held)
    if now <= fence then
      bury(tomb, fence)
    end
  end
end
