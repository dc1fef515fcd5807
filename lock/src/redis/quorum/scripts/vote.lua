-- Put before acquire.lua on a node of a quorum. A server that lost its data has forgotten whom it gave its
-- vote: for the longest lease after its start it gives none.
--
-- ARGV   the last one: how many seconds after its start the server votes
-- Reply  the error NOVOTE before that
-- Cost   one section of INFO
-- Test   lock/tests/redis/quorum.rs

local votes_after = tonumber(ARGV[#ARGV])
if votes_after > 0 then
  local info = redis.call('INFO', 'server')
  local uptime = tonumber(string.match(info, 'uptime_in_seconds:(%d+)'))
  if uptime < votes_after then
    local since = string.format('NOVOTE it started %d s ago and votes %d s after its start', uptime, votes_after)
    return redis.error_reply(since)
  end
end
