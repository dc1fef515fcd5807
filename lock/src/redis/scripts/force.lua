-- Takes the name from whoever holds it, tells them, and gives it to the head of the queue.
--
-- KEYS   the name's `held`
-- ARGV   reason
-- Reply  1 it was held, 0 it was not, 2 readers share it still: call again; or the error TRYAGAIN, and nothing was done
-- Cost   O(log waiters); 128 readers at most
-- Test   lock/tests/redis/wire.rs

local held = KEYS[1]
local refusal = parted(held)
if refusal then
  return refusal
end
local holder, fence = read(held)
if holder == READERS then
  reap(held)
  local readers, shares = shared(held)
  local told = call('ZRANGE', readers, 0, 127)
  for _, reader in ipairs(told) do
    call('PUBLISH', channel_of(reader), table.concat({ 'lose', reader, ARGV[1] }, ' '))
  end
  if #told > 0 then
    call('ZREM', readers, unpack(told))
    call('HDEL', shares, unpack(told))
  end
  local more = call('EXISTS', readers) == 1
  settle(held, fence)
  return more and 2 or math.min(#told, 1)
end
if not holder then
  vacate(held, fence)
  return 0
end
-- The old holder is told before the new one. Which of its fences it has used nobody knows here.
call('PUBLISH', channel_of(holder), table.concat({ 'lose', holder, ARGV[1] }, ' '))
vacate(held, fence + SPAN - 1)
return 1
