-- Put behind lane.lua in a Cluster.
--
-- While a slot migrates its keys move one by one, and most scripts are given the first key of a name only. What needs
-- no more of it goes on at whichever node has that one. What needs the queue is refused until the slot has moved.
--
-- Test   lock/tests/redis/failover.rs, lock/tests/redis/migration.rs, lock/tests/redis/shared_in_cluster.rs

CLAIM = 1000

-- A node that gives a slot away, or takes it, does a command about several keys only if it has all of them; one that
-- is nowhere may be at the other node, for all it knows.
torn = function(held, ...)
  local there = redis.pcall('EXISTS', held, ...)
  if type(there) == 'table' then
    return redis.error_reply('TRYAGAIN a part of the lock may be on another node until its slot has moved')
  end
end
