-- Lets leases last from now on and writes the fences that a majority agreed on. A fence never falls: a node
-- whose vote came late may have drawn a higher one, which nobody was told.
--
-- KEYS   for each: the name's `held`
-- ARGV   mode (raise | renew); for each: owner, lease (ms), fence, metadata
-- Reply  for each: 1 done, 0 held by somebody else or (raise) by nobody, 2 (renew) it was free and is held now
-- Cost   O(leases), 100 at most
-- Test   lock/tests/redis/quorum.rs

local mode, answers = ARGV[1], {}
for index = 1, #KEYS do
  local held, at = KEYS[index], 4 * index - 2
  local owner, lease, agreed = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local holder, fence, metadata, ends = read(held)
  local lasts = now + lease * 1000
  answers[index] = 0
  if holder == owner then
    write(held, owner, math.max(agreed, fence), metadata, lasts, ends ~= nil)
    answers[index] = 1
  elseif not holder and mode == 'renew' then
    local waited = call('EXISTS', (beside(held))) == 1
    write(held, owner, math.max(agreed, fence), ARGV[at + 3], lasts, waited)
    answers[index] = 2
  end
end
return answers
