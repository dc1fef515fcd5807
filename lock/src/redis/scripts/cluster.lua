-- Put behind lane.lua in a Cluster.
--
-- Test   lock/tests/redis/failover.rs, lock/tests/redis/shared_in_cluster.rs

CLAIM = 1000
