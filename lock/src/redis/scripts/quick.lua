-- Put between head.lua and lane.lua by commit.lua: what takes a command or two, because nobody else wants the name.
-- Where all calls are of that kind, as most are, nothing behind this is run: defining it costs more than they do.
--
-- Test   lock/tests/redis/wire.rs

local stamp = string.format(' %.0f ', now)
-- Arguments of a call.
local SIZE = #ARGV / #KEYS

local function in_time(at)
  local not_after = tonumber(ARGV[at + 4])
  return not_after == 0 or now <= not_after
end

local function take_free(held, at)
  local refusal = veto and veto(tonumber(ARGV[at + 5]))
  if refusal then
    return refusal
  end
  local record = ARGV[at + 1] .. stamp .. ARGV[at + 3]
  if ARGV[at] ~= 'poll' and in_time(at) and call('SET', held, record, 'NX', 'PX', ARGV[at + 2]) then
    return now
  end
end

-- Without a reply the record, if it was fetched.
local function give_unwanted(held, at)
  local owner, used = ARGV[at + 1], tonumber(ARGV[at + 4])
  if used and now > used then
    local record = call('GET', held)
    if record and string.sub(record, 1, OWNER) == owner then
      call('DEL', held)
      return 1
    end
    return nil, record
  end
end

local function quick(held, at)
  return (ARGV[at] == 'release' and give_unwanted or take_free)(held, at)
end

-- Ends its own call alone, and is not tried again: a full server refuses the first write of a script only.
local function failed(error)
  return redis.error_reply(type(error) == 'table' and error.err or error)
end

local replies, first, found = {}, nil, nil
for index = 1, #KEYS do
  local done, reply, record = pcall(quick, KEYS[index], 1 + (index - 1) * SIZE)
  if done and not reply then
    first, found = index, record
    break
  end
  replies[index] = done and reply or failed(reply)
end
if not first then
  return replies
end
