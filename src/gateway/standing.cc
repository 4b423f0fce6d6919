#include "gateway/standing.h"

#include <openssl/crypto.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cmath>

#include "base/uuid.h"

namespace penstock::gateway {
namespace {

std::optional<Quota> quota_of(const std::optional<settings::Rate>& rate) {
  if (!rate) return std::nullopt;
  return Quota{rate->count, rate->count == 0 ? Duration(1s) : rate->per};
}

std::optional<Nano> money_of(const std::optional<double>& units) {
  if (!units) return std::nullopt;
  return static_cast<Nano>(std::llround(*units * kNanoPerUnit));
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Limits limits_of(const settings::Quotas& quotas) {
  Limits limits;
  limits.requests = quota_of(quotas.requests);
  limits.tokens = quota_of(quotas.tokens);
  if (quotas.inflight) limits.inflight = *quotas.inflight;
  limits.spend_day = money_of(quotas.spend.day);
  limits.spend_month = money_of(quotas.spend.month);
  return limits;
}

limit::Rules rules_of(const settings::Settings& settings) {
  limit::Rules rules;
  rules.standard = limits_of(settings.limits.standard);
  rules.global = limits_of(settings.limits.global);
  for (const settings::NamedQuotas& model : settings.limits.models) {
    rules.models.emplace_back(model.name, limits_of(model.limits));
  }
  return rules;
}

StandingPtr make_standing(CallerPtr caller, const limit::Rules& rules, limit::Limiter& limiter,
                          Time now, WallTime wall, TenantMetricsPtr metrics) {
  auto standing = std::make_shared<Standing>();
  standing->metrics = std::move(metrics);
  const Limits own = limit::own_limits(caller->limits, caller->tenant_limits, rules.standard);
  // Ids of keys are unique; the subjects of tokens are so within their tenant.
  const std::string name = caller->key.starts_with("key_") || caller->key.empty()
                               ? caller->key
                               : caller->tenant + "/" + caller->key;
  standing->key = limiter.account(limit::Owner::key, name, caller->tenant, own, now);
  if (!caller->tenant.empty()) {
    standing->tenant = limiter.account(limit::Owner::tenant, caller->tenant, caller->tenant,
                                       caller->tenant_limits, now);
  }
  standing->global = limiter.account(limit::Owner::global, {}, {}, rules.global, now);
  standing->limited = standing->key || standing->tenant || standing->global;
  if (caller->expires) {
    standing->good_until = now + std::chrono::duration_cast<Duration>(*caller->expires - wall);
  }
  standing->caller = std::move(caller);
  return standing;
}

bool may_ask(const Caller& caller, std::string_view asked, std::string_view model) {
  const auto in = [&](const std::vector<std::string>& names) {
    return names.empty() || has(names, model) || has(names, asked);
  };
  return in(caller.models) && in(caller.tenant_models);
}

Memo::Memo() : seed_(Random().next()), slots_(std::make_unique<std::array<Slot, kSlots>>()) {}

std::size_t Memo::slot_of(std::string_view credential) const {
  return XXH3_64bits_withSeed(credential.data(), credential.size(), seed_) % kSlots;
}

StandingPtr Memo::find(std::string_view credential, Time now) const {
  const Slot& slot = (*slots_)[slot_of(credential)];
  if (!slot.standing || slot.credential.size() != credential.size() ||
      CRYPTO_memcmp(slot.credential.data(), credential.data(), credential.size()) != 0 ||
      now >= slot.standing->good_until) {
    return nullptr;
  }
  return slot.standing;
}

void Memo::remember(std::string_view credential, StandingPtr standing) {
  Slot& slot = (*slots_)[slot_of(credential)];
  slot.credential = credential;
  slot.standing = std::move(standing);
}

void Memo::clear() {
  for (Slot& slot : *slots_) slot = {};
}

}  // namespace penstock::gateway
