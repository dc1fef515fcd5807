-- Uses a token: the first use draws a number, any later one is told the same. A repeated call
-- changes nothing.
--
-- KEYS[1]  string  the token: "ttl" until it is used, then "ttl number"
-- KEYS[2]  string  the last number of the scope, for a day: a clock that is set back by less repeats none
-- ARGV     none
-- Reply    {1, number}  first use
--          {2, number}  used before
--          {0}          expired, or never issued
-- Cost     O(1)
-- Test     lock/tests/redis/tokens.rs
--
-- Numbers are microseconds since 1970, or one more than the last where the clock stood still or stepped
-- back; they are below 2^53, so numbers hold them exactly.

-- In milliseconds.
local DAY = 86400000

local record = redis.call('GET', KEYS[1])
if not record then
  return { 0 }
end
local ttl, number = string.match(record, '^(%d+) ?(%d*)$')
if number ~= '' then
  return { 2, tonumber(number) }
end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local last = tonumber(redis.call('GET', KEYS[2]) or 0)
local drawn = math.max(now, last + 1)
local digits = string.format('%.0f', drawn)
redis.call('SET', KEYS[2], digits, 'PXAT', string.format('%.0f', math.floor(drawn / 1000) + DAY))
-- Repetitions follow the first use, however late in the token's life that was.
redis.call('SET', KEYS[1], ttl .. ' ' .. digits, 'PX', ttl)
return { 1, drawn }
