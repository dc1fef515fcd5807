-- Put first in every script: the server's time.

local call = redis.call
local time = call('TIME')
local now = time[1] * 1000000 + time[2]

-- The length of an owner.
local OWNER = 50
-- A grant of fence F is one of F .. F + SPAN - 1: its process hands the lock on among its own waiters.
local SPAN = 64

-- A quorum's node may refuse to give its vote, see vote.lua.
local veto = nil
