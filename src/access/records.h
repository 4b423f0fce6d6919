// Keys and tenants as the program means them, and as the database keeps them: limits and models are
// JSON there.
//
//   {"requests":[100,60000000],"tokens":"none","inflight":5,"spend_day":1000000000}
//
// A rate is a count and microseconds, money is in billionths, "none" is no limit; what is absent is
// not decided here. What cannot be read is refused, never taken for "no limit".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "exchange/caller.h"
#include "store/keys.h"
#include "store/tenants.h"

namespace penstock::access {

struct Key {
  std::string id;
  std::string prefix;
  std::string name;
  std::string tenant;
  std::vector<std::string> models;  // empty: all
  Limits limits;
  Priority priority = Priority::interactive;
  std::optional<CacheScope> scope;  // nothing: the tenant's
  WallTime created{};
  std::optional<WallTime> expires;
  std::optional<WallTime> revoked;
  std::optional<std::string> replaced_by;
  std::optional<WallTime> grace_until;  // of one that was replaced
  std::string created_by;
};

struct Tenant {
  std::string name;
  std::vector<std::string> models;  // empty: all
  Limits limits;
  std::optional<CacheScope> scope;  // nothing: as configured for all
  WallTime created{};
};

enum class KeyState : std::uint8_t { good, expired, revoked, replaced };
KeyState state_of(const Key& key, WallTime now);
std::string_view name_of(KeyState state);
// Until when it is good: the earlier of its expiry and the end of its grace.
std::optional<WallTime> end_of(const Key& key);

// An Error (internal): what is kept was not written by this program.
Result<Key> key_of(const store::KeyRow& row);
Result<Tenant> tenant_of(const store::TenantRow& row);
// Puts what can change into the row.
void write(const Key& key, store::KeyRow& row);
void write(const Tenant& tenant, store::TenantRow& row);

std::string models_to_json(const std::vector<std::string>& models);
std::string limits_to_json(const Limits& limits);
Result<Limits> limits_from_json(std::string_view json);

std::string_view name_of(CacheScope scope);
std::string_view name_of(Priority priority);
std::optional<CacheScope> scope_of(std::string_view name);
std::optional<Priority> priority_of(std::string_view name);

std::int64_t to_us(WallTime time);
WallTime from_us(std::int64_t us);

// Puts into a caller what its tenant decides. `tenant`: what is known of it, or null; `own`: the
// caller's own scope, if it has one; `otherwise`: of whoever has none.
void compose(Caller& caller, const Tenant* tenant, std::optional<CacheScope> own,
             CacheScope otherwise);
// Who asks with this key.
CallerPtr caller_of(const Key& key, const Tenant* tenant, CacheScope otherwise);

}  // namespace penstock::access
