#include "access/tenant_book.h"

#include <algorithm>

namespace penstock::access {
namespace {

template <class T>
void prefer(std::optional<T>& to, const std::optional<T>& configured) {
  if (configured) to = configured;
}

Tenant merged(Tenant kept, const Tenant& configured) {
  if (!configured.models.empty()) kept.models = configured.models;
  prefer(kept.scope, configured.scope);
  prefer(kept.limits.requests, configured.limits.requests);
  prefer(kept.limits.tokens, configured.limits.tokens);
  prefer(kept.limits.inflight, configured.limits.inflight);
  prefer(kept.limits.spend_day, configured.limits.spend_day);
  prefer(kept.limits.spend_month, configured.limits.spend_month);
  return kept;
}

}  // namespace

const Tenant* TenantBook::configured(std::string_view name) const {
  const auto found = std::find_if(configured_.begin(), configured_.end(),
                                  [&](const Tenant& one) { return one.name == name; });
  return found == configured_.end() ? nullptr : &*found;
}

TenantPtr TenantBook::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const Tenant* const ours = configured(name);
  const auto kept = kept_.find(std::string(name));
  const bool known = kept != kept_.end() && kept->second;
  if (ours == nullptr && !known) return nullptr;
  if (ours == nullptr) return std::make_shared<const Tenant>(*kept->second);
  return std::make_shared<const Tenant>(known ? merged(*kept->second, *ours) : *ours);
}

bool TenantBook::deleted(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto kept = kept_.find(std::string(name));
  return kept != kept_.end() && !kept->second && configured(name) == nullptr;
}

void TenantBook::configure(std::vector<Tenant> configured) {
  const std::lock_guard lock(mutex_);
  configured_ = std::move(configured);
}

void TenantBook::keep(const std::string& name, std::optional<Tenant> tenant) {
  const std::lock_guard lock(mutex_);
  kept_.insert_or_assign(name, std::move(tenant));
}

void TenantBook::forget_kept() {
  const std::lock_guard lock(mutex_);
  kept_.clear();
}

}  // namespace penstock::access
