-- Who holds the name, and how many wait. Changes nothing.
--
-- KEYS   the name's `held`
-- Reply  {waiters, now}, and if it is held: owner, fence, left (ms), metadata
-- Cost   O(1)
-- Test   lock/tests/redis/wire.rs

local held = KEYS[1]
local shown = { call('ZCARD', (beside(held))), now }
local owner, fence, metadata, ends = read(held)
if owner then
  local left = ends and math.ceil((ends - now) / 1000) or call('PTTL', held)
  for _, field in ipairs({ owner, fence, left, metadata }) do
    shown[#shown + 1] = field
  end
end
return shown
