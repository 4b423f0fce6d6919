// Who asks, with everything that hangs on it: made once, found again by the bytes of the
// credential.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "exchange/caller.h"
#include "gateway/tenant_metrics.h"
#include "limit/limiter.h"
#include "settings/settings.h"

namespace penstock::gateway {

struct Standing {
  CallerPtr caller;
  limit::AccountPtr key, tenant, global;  // null: not limited
  Time good_until = Time::max();          // the credential's own end
  bool limited = false;                   // by any of them
  TenantMetricsPtr metrics;               // null: its tenant has no series of its own
};
using StandingPtr = std::shared_ptr<const Standing>;

Limits limits_of(const settings::Quotas& quotas);
limit::Rules rules_of(const settings::Settings& settings);

StandingPtr make_standing(CallerPtr caller, const limit::Rules& rules, limit::Limiter& limiter,
                          Time now, WallTime wall, TenantMetricsPtr metrics = nullptr);

// Whether somebody may ask this model; by the name that it was asked by, or that it has.
bool may_ask(const Caller& caller, std::string_view asked, std::string_view model);

// A worker's memory of who it has seen. A slot is found by a hash with a seed of its own, and taken
// only for the very credential, compared in constant time: how long a look takes tells nothing of
// what others have sent.
class Memo {
 public:
  Memo();
  // Null: not seen, or its time is over.
  StandingPtr find(std::string_view credential, Time now) const;
  void remember(std::string_view credential, StandingPtr standing);
  void clear();

 private:
  static constexpr std::size_t kSlots = 1024;
  struct Slot {
    std::string credential;
    StandingPtr standing;
  };
  std::size_t slot_of(std::string_view credential) const;

  std::uint64_t seed_;
  std::unique_ptr<std::array<Slot, kSlots>> slots_;
};

}  // namespace penstock::gateway
