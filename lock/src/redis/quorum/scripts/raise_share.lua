-- Lets the leases of readers last from now on and writes the fences that a majority agreed on. The mark's fence never falls.
--
-- A reader that has a majority wins back the vote of a node that forgot it also past those who wait there: it
-- is a holder. Only a writer that has the node keeps it out.
--
-- KEYS   for each: the name's `held`
-- ARGV   mode (raise | renew | look), how many seconds after its start the server votes;
--        for each: owner, lease (ms), fence, metadata
-- Reply  for each: 1 done, or (look) shared by this owner
--                  0 held by somebody alone, or (raise, look) not shared by this owner
--                  2 (renew) it was not shared by this owner and is now
--                  3 as 2, or (look) not held alone; and nobody was given a vote since the server started
-- Cost   O(leases log readers), 100 at most; 128 readers let in for each name that was nobody's
-- Test   lock/tests/redis/quorum_readers.rs

local mode, votes_after, answers = ARGV[1], tonumber(ARGV[2]), {}

local function forgot()
  return veto(votes_after) ~= nil
end

-- Shares the name, whose holder is no writer.
local function put(held, holder, owner, lease, fence, metadata)
  if holder ~= READERS then
    call('DEL', shared(held))
  end
  reap(held)
  let_in(held, owner, fence, lease, metadata)
end

local function shares(held, holder, owner)
  local ends = holder == READERS and call('ZSCORE', (shared(held)), owner)
  return ends and tonumber(ends) > now
end

for index = 1, #KEYS do
  local held, at = KEYS[index], 4 * index - 1
  local owner, lease, agreed, metadata = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
  local holder, fence = read(held)
  -- Its turn may have come here, and it has not shared the name yet.
  local has = holder == owner or shares(held, holder, owner)
  local alone = holder and holder ~= READERS
  answers[index] = has and 1 or 0
  if mode == 'look' then
    answers[index] = has and 1 or not alone and forgot() and 3 or 0
  elseif has or mode == 'renew' and not alone then
    if not has then
      -- It may wait here still, where its vote was asked for.
      leave_line(held, owner, lease, metadata)
      answers[index] = forgot() and 3 or 2
    end
    put(held, holder, owner, lease, agreed, metadata)
    fence = math.max(agreed, fence)
    -- Readers at the head of a queue are let in with the first one.
    settle(held, holder == READERS and fence or admit(held, fence))
  end
end
return answers
