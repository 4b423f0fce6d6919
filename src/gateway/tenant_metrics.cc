#include "gateway/tenant_metrics.h"

#include <algorithm>
#include <string>

namespace penstock::gateway {

TenantMetrics::TenantMetrics(observe::Shard& shard, std::string_view tenant)
    : cost_(shard.counter("penstock_tenant_cost_total",
                          "Money that a tenant's calls came to, by the prices of the settings.",
                          {{"tenant", std::string(tenant)}})) {
  constexpr std::array kClasses = {"2xx", "3xx", "4xx", "5xx"};
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    requests_[i] = shard.counter("penstock_tenant_requests_total",
                                 "A tenant's requests, by the class of their status.",
                                 {{"tenant", std::string(tenant)}, {"code_class", kClasses[i]}});
  }
  constexpr std::array kTypes = {"input", "output", "cached_input", "reasoning"};
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    tokens_[i] = shard.counter("penstock_tenant_tokens_total",
                               "Tokens of a tenant's calls, as the engines count them.",
                               {{"tenant", std::string(tenant)}, {"type", kTypes[i]}});
  }
}

void TenantMetrics::answered(int status) {
  requests_[static_cast<std::size_t>(std::clamp(status / 100, 2, 5) - 2)].add();
}

void TenantMetrics::used(const Usage& usage, Nano cost) {
  const std::array counts = {usage.input, usage.output, usage.cached_input, usage.reasoning};
  for (std::size_t i = 0; i < counts.size(); ++i) tokens_[i].add(static_cast<double>(counts[i]));
  if (cost > 0) cost_.add(static_cast<double>(cost) / kNanoPerUnit);
}

}  // namespace penstock::gateway
