-- Put behind head.lua on a node of a quorum. A server that lost its data has forgotten whom it
-- gave its vote: for the longest lease after its start it gives none.
--
-- ARGV   for each call that takes, one more: how many seconds after its start the server votes, 0: at once
-- Reply  the error NOVOTE before that
-- Cost   one section of INFO; nothing where it votes at once
-- Test   lock/tests/redis/quorum.rs

local uptime
veto = function(votes_after)
  if votes_after == 0 then
    return nil
  end
  uptime = uptime or tonumber(string.match(call('INFO', 'server'), 'uptime_in_seconds:(%d+)'))
  -- Counted in whole seconds of the day, it is up to one more than the server is old.
  if uptime <= votes_after then
    local since = string.format('NOVOTE it started %d s ago and votes %d s after its start', uptime, votes_after)
    return redis.error_reply(since)
  end
end
