-- Put behind lane.lua in a Cluster.
--
-- Test   lock/tests/redis/failover.rs

CLAIM = 1000
