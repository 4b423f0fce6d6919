// Who asks: what a key or a token came to. Made once, shared by all requests that bring it.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace penstock {

// Money in billionths of the currency that the operator accounts in: a token of a model that costs
// 0.15 a million is 150.
using Nano = std::int64_t;
inline constexpr double kNanoPerUnit = 1e9;

// So many in so long: `count` at once, then one each per/count. A count of 0 refuses all.
struct Quota {
  std::uint64_t count = 0;
  Duration per{1s};
  friend bool operator==(const Quota&, const Quota&) = default;
};

// What somebody may use. A field that is not set is not decided here: whoever stands behind decides
// (a key without a limit of its own has its default). `kUnlimited` and `kUnlimitedNumber` are a
// decision: no limit.
struct Limits {
  std::optional<Quota> requests = {};
  std::optional<Quota> tokens = {};
  std::optional<std::uint64_t> inflight = {};  // requests at a time
  std::optional<Nano> spend_day = {};          // UTC days and months
  std::optional<Nano> spend_month = {};
  friend bool operator==(const Limits&, const Limits&) = default;
};
inline constexpr std::uint64_t kUnlimitedNumber = std::numeric_limits<std::uint64_t>::max();
inline constexpr Quota kUnlimited{kUnlimitedNumber, 1s};
inline constexpr Nano kUnlimitedSpend = std::numeric_limits<Nano>::max();

// Whose answers may be given to whom.
enum class CacheScope : std::uint8_t { key, tenant, shared };

enum class Priority : std::uint8_t { interactive, batch };

struct Caller {
  std::string tenant;    // empty: nobody was told apart
  std::string key;       // the id of a key, "key_..."; of a token its subject; empty: anonymous
  std::string key_name;  // what its owner calls it
  std::vector<std::string> models;         // those it may ask; empty: all
  std::vector<std::string> tenant_models;  // of them those that its tenant may ask; empty: all
  Priority priority = Priority::interactive;
  CacheScope scope = CacheScope::tenant;
  std::string cache_scope;  // what its answers are kept apart by; made of the above
  Limits limits;            // its own
  Limits tenant_limits;     // of all the callers of its tenant together
  std::optional<WallTime> expires;
};
using CallerPtr = std::shared_ptr<const Caller>;

// The text that answers are kept apart by: "" for all together, else the tenant's or the key's.
inline std::string cache_scope_of(CacheScope scope, const std::string& tenant,
                                  const std::string& key) {
  switch (scope) {
    case CacheScope::shared: return {};
    case CacheScope::tenant: return tenant.empty() ? std::string() : "t:" + tenant;
    case CacheScope::key: break;
  }
  return key.empty() ? "t:" + tenant : "k:" + tenant + ":" + key;
}

}  // namespace penstock
