"""What Redis servers do with counts, each in one step, on one key, by their own clock: gateways need not agree on the
time. Needs Redis 5 (2018), whose scripts may write after they have read the clock.

Lua's fractions are cut off in answers, so they come as text.
"""

from typing import Final

from userspace.plugins.counting import Script

_CLOCK: Final = """\
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
"""

FIXED: Final = Script.of("""\
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  left = tonumber(ARGV[2])
  redis.call('SET', KEYS[1], ARGV[1], 'PX', left)
  return {tonumber(ARGV[1]), left}
end
return {redis.call('INCRBY', KEYS[1], ARGV[1]), left}
""")
"""(cost, window in ms) -> [used, ms left]: a window begins with its first request."""

SLIDING: Final = Script.of(
    _CLOCK
    + """\
local cost, most, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local number = math.floor(now / window)
local past = now - number * window
local kept = redis.call('HMGET', KEYS[1], 'before', 'used', 'number')
local before, used, last = tonumber(kept[1]) or 0, tonumber(kept[2]) or 0, tonumber(kept[3]) or number
if last ~= number then
  before = last == number - 1 and used or 0
  used = 0
end
local rate = math.min(before, most) / window
local taken = rate * (window - past) + used
if ARGV[4] == 'if' and taken >= most then
  local wait = window - past
  if used < most then
    wait = math.max(wait - (most - used) / rate, 0)
  end
  return {0, '-1', tostring(wait)}
end
redis.call('HSET', KEYS[1], 'before', before, 'used', used + cost, 'number', string.format('%d', number))
redis.call('PEXPIRE', KEYS[1], 2000 * window)
return {1, tostring(most - taken - cost), tostring(window - past)}
"""
)
"""(cost, count, window in s, "if" there is room, else "anyway") -> [taken, left, seconds until there is more]: of the
window before, that share counts which a window that ends now still covers. A request goes while there is any room."""

BUCKET: Final = Script.of(
    _CLOCK
    + """\
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'excess', 'last')
local excess = 0
if kept[1] and kept[2] then
  excess = math.max(tonumber(kept[1]) - rate * math.abs(now - tonumber(kept[2])) + 1, 0)
  if excess > burst then
    return {0, tostring(excess)}
  end
end
redis.call('HSET', KEYS[1], 'excess', tostring(excess), 'last', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((excess + 1) / rate * 1000))
return {1, tostring(excess)}
"""
)
"""(rate per s, burst) -> [taken, excess]: a leaky bucket."""

ENTER: Final = Script.of(
    _CLOCK
    + """\
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local count = redis.call('ZCARD', KEYS[1]) + 1
if count > tonumber(ARGV[1]) then
  return {0, count}
end
redis.call('ZADD', KEYS[1], string.format('%.6f', now + ARGV[2]), ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return {1, count}
"""
)
"""(most, seconds, name) -> [taken, how many with it]: one more is here, under this name, for that long at most."""

LEAVE: Final = Script.of("return {redis.call('ZREM', KEYS[1], ARGV[1])}\n")
"""(name) -> [whether it was here]."""
