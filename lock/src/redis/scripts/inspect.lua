-- Who holds the name, and how many wait. Changes nothing.
--
-- KEYS   the name's `held`
-- Reply  {waiters, now}, and if it is held: owner, fence, left (ms), metadata
--        or the error TRYAGAIN
--        if readers share it: {waiters, now, 'readers', how many}, and for the first 128 the same four
-- Cost   O(1), O(readers) for 128 at most
-- Test   lock/tests/redis/wire.rs

local held = KEYS[1]
local refusal = parted(held)
if refusal then
  return refusal
end
local shown = { call('ZCARD', (beside(held))), now }
local owner, fence, metadata, ends = read(held)
if owner == READERS then
  local readers, shares = shared(held)
  shown[3], shown[4] = READERS, call('ZCOUNT', readers, '(' .. digits(now), '+inf')
  local some = call('ZRANGEBYSCORE', readers, '(' .. digits(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 128)
  for index = 1, #some, 2 do
    local reader, left = some[index], math.ceil((some[index + 1] - now) / 1000)
    local own, words = string.match(call('HGET', shares, reader) or '', '^(%d+) (.*)$')
    for _, field in ipairs({ reader, own or 0, left, words or '' }) do
      shown[#shown + 1] = field
    end
  end
elseif owner then
  local left = ends and math.ceil((ends - now) / 1000) or call('PTTL', held)
  for _, field in ipairs({ owner, fence, left, metadata }) do
    shown[#shown + 1] = field
  end
end
return shown
