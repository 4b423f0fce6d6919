// What a tenant's requests come to, of those that `metrics.tenants` names: nobody else has series
// of his own, since there may be any number of them.
#pragma once

#include <array>
#include <memory>
#include <string_view>

#include "exchange/caller.h"
#include "exchange/exchange.h"
#include "observe/metrics.h"

namespace penstock::gateway {

class TenantMetrics {
 public:
  TenantMetrics(observe::Shard& shard, std::string_view tenant);

  void answered(int status);
  // A call to an engine came to this.
  void used(const Usage& usage, Nano cost);

 private:
  std::array<observe::Counter, 4> requests_;  // 2xx to 5xx
  std::array<observe::Counter, 4> tokens_;    // by type
  observe::Counter cost_;
};
using TenantMetricsPtr = std::shared_ptr<TenantMetrics>;

}  // namespace penstock::gateway
