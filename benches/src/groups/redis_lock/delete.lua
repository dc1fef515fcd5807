-- Deletes a key that still has our value. KEYS: the key. ARGV: the value. O(1).
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
