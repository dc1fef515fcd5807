-- Lets leases last from now on and writes the fences that a majority agreed on. A fence never falls: a node
-- whose vote came late may have drawn a higher one, which nobody was told.
--
-- KEYS   for each: the name's `held`
-- ARGV   mode (raise | renew | look), how many seconds after its start the server votes;
--        for each: owner, lease (ms), fence, metadata
-- Reply  for each: 1 done, or (look) held by this owner
--                  0 held by somebody else, or (raise, look) by nobody
--                  2 (renew) it was free and is held now
--                  3 as 2, or (look) free; and nobody was given a vote since the server started
-- Cost   O(leases), 100 at most
-- Test   lock/tests/redis/quorum.rs

local mode, votes_after, answers = ARGV[1], tonumber(ARGV[2]), {}

local function forgot()
  return veto(votes_after) ~= nil
end

for index = 1, #KEYS do
  local held, at = KEYS[index], 4 * index - 1
  local owner, lease, agreed = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local holder, fence, metadata, ends = read(held)
  local lasts = now + lease * 1000
  answers[index] = holder == owner and 1 or 0
  if holder == owner and mode ~= 'look' then
    write(held, owner, math.max(agreed, fence), metadata, lasts, ends ~= nil)
  elseif not holder and mode == 'renew' then
    -- It may wait here still, where its vote was asked for.
    leave_line(held, owner, ARGV[at + 1], ARGV[at + 3])
    write(held, owner, math.max(agreed, fence), ARGV[at + 3], lasts, is_waited(held))
    answers[index] = forgot() and 3 or 2
  elseif not holder and mode == 'look' and forgot() then
    answers[index] = 3
  end
end
return answers
