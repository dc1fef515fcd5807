-- Prolongs a key that still has our value. KEYS: the key. ARGV: the value, ms. O(1).
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
