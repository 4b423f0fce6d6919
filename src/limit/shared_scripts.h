// What is done in Redis for limits, as one step each, and under which names.
//
//   penstock:limit:{tenant}:requests:key:key_1     a time stamp: until when something is owed (us)
//   penstock:limit:{tenant}:inflight:key:key_1     a hash: node -> count, number and time of its
//   word penstock:spend:{tenant}:key:key_1:2026-11-27   billionths of the currency
//
// Times are Redis's own, in whole microseconds: the nodes' clocks need not agree. The tenant is a
// hash tag, so that a cluster keeps what belongs to one tenant on one server.
#pragma once

#include <string>
#include <string_view>

#include "limit/account.h"
#include "redis/script.h"

namespace penstock::limit {

struct Scripts {
  // GCRA with partial grants.
  // KEYS: the time stamp. ARGV: burst, period, cost needed, cost wanted; then what the node
  // admitted by itself while Redis was away: that, and all that it believes to be owed (for where
  // Redis has lost the time stamp).
  // -> granted, what is left, us until `needed` would be granted, us until nothing is owed.
  const redis::Script take{R"(
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local burst, per = tonumber(ARGV[1]), tonumber(ARGV[2])
local needed, wanted = tonumber(ARGV[3]), tonumber(ARGV[4])
local paid_off = redis.call('GET', KEYS[1])
local owed = 0
local late = tonumber(ARGV[6])
if paid_off then
  owed = math.max(tonumber(paid_off) - now, 0)
  late = tonumber(ARGV[5])
end
owed = math.min(owed + math.floor(late * per / burst), per * 10)
local left = math.max(math.floor(((per - owed) * burst + per / 1000) / per), 0)
local granted = math.min(wanted, left)
local wait = 0
if granted < needed then
  granted = 0
  wait = math.max(math.ceil(owed + needed * per / burst - per), 1)
end
if granted > 0 or late > 0 then
  owed = owed + math.floor(granted * per / burst)
  redis.call('SET', KEYS[1], string.format('%.0f', now + owed),
             'PX', string.format('%.0f', math.ceil(owed / 1000) + 1000))
end
return {granted, left - granted, wait, owed}
)"};

  // What was taken and not used (negative), or used and not taken. Whatever is owed.
  // KEYS: the time stamp. ARGV: burst, period, cost.
  const redis::Script settle{R"(
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local burst, per = tonumber(ARGV[1]), tonumber(ARGV[2])
local paid_off = tonumber(redis.call('GET', KEYS[1]) or '0')
local owed = math.max(paid_off - now, 0) + math.floor(tonumber(ARGV[3]) * per / burst)
owed = math.min(math.max(owed, 0), per * 10)
redis.call('SET', KEYS[1], string.format('%.0f', now + owed),
           'PX', string.format('%.0f', math.ceil(owed / 1000) + 1000))
return owed
)"};

  // KEYS: the hash. ARGV: the node, its count, the number of this word, the limit (-1: only told),
  // microseconds after which a node's silence is its end. A word that was overtaken changes
  // nothing.
  // -> 1 or 0, the count of all.
  const redis::Script inflight{R"(
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local node, count, number = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local limit, silence = tonumber(ARGV[4]), tonumber(ARGV[5])
local all = redis.call('HGETALL', KEYS[1])
local others, known = 0, -1
for i = 1, #all, 2 do
  local theirs, word, seen = string.match(all[i + 1], '^(%d+) (%d+) (%d+)$')
  if all[i] == node then
    known = tonumber(word or '-1')
  elseif not seen or now - tonumber(seen) > silence then
    redis.call('HDEL', KEYS[1], all[i])
  else
    others = others + tonumber(theirs)
  end
end
local good = 1
if limit >= 0 and others + count > limit then
  good = 0
  count = count - 1
end
if number > known then
  redis.call('HSET', KEYS[1], node, string.format('%.0f %.0f %.0f', count, number, now))
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(silence / 1000) * 2))
end
return {good, others + count}
)"};

  // KEYS: the sums of the day and of the month. ARGV: the estimate, the limits of both (empty: not
  // limited, not counted). All or nothing.
  // -> 1 reserved, 0 refused, -1 unknown; which (1 or 2, where not 1); the sums.
  const redis::Script reserve{R"(
local sums = {0, 0}
for i = 1, 2 do
  if ARGV[i + 1] ~= '' then
    local sum = redis.call('GET', KEYS[i])
    if not sum then return {-1, i, 0, 0} end
    sums[i] = tonumber(sum)
  end
end
for i = 1, 2 do
  if ARGV[i + 1] ~= '' and sums[i] + tonumber(ARGV[1]) > tonumber(ARGV[i + 1]) then
    return {0, i, sums[1], sums[2]}
  end
end
for i = 1, 2 do
  if ARGV[i + 1] ~= '' then sums[i] = redis.call('INCRBY', KEYS[i], ARGV[1]) end
end
return {1, 0, sums[1], sums[2]}
)"};

  // KEYS: a sorted set of nodes by the time of their last word. ARGV: the node, microseconds after
  // which silence is its end. -> how many live.
  const redis::Script nodes{R"(
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - tonumber(ARGV[2])))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(tonumber(ARGV[2]) / 1000)))
return redis.call('ZCARD', KEYS[1])
)"};

  // KEYS: sums that were reserved from. ARGV: the difference. What is not there is not made:
  // whoever misses it asks the ledger, which has counted this too.
  const redis::Script spend{R"(
for i = 1, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('INCRBY', KEYS[i], ARGV[1]) end
end
return 1
)"};
};

// What the operator and the tenants named is escaped where it could be taken for something else.
std::string limit_key(What what, const Account& account);
// `wall` says which day or month.
std::string spend_key(Period period, const Account& account, WallTime wall);

}  // namespace penstock::limit
