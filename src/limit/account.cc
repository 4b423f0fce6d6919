#include "limit/account.h"

namespace penstock::limit {

std::string_view label_of(Owner owner) {
  switch (owner) {
    case Owner::key: return "key";
    case Owner::tenant: return "tenant";
    case Owner::model: return "model";
    case Owner::global: break;
  }
  return "global";
}

// The two of money are one kind to whoever counts decisions.
std::string_view label_of(What what) {
  switch (what) {
    case What::requests: return "requests";
    case What::tokens: return "tokens";
    case What::inflight: return "inflight";
    case What::spend_day:
    case What::spend_month: break;
  }
  return "budget";
}

std::int64_t period_of(Period period, WallTime now) {
  const auto day = std::chrono::floor<std::chrono::days>(now);
  if (period == Period::day) return day.time_since_epoch().count();
  const std::chrono::year_month_day date(day);
  return static_cast<int>(date.year()) * 12 +
         static_cast<int>(static_cast<unsigned>(date.month())) - 1;
}

WallTime begin_of(Period period, WallTime now) {
  const auto day = std::chrono::floor<std::chrono::days>(now);
  if (period == Period::day) return day;
  const std::chrono::year_month_day date(day);
  return std::chrono::sys_days(date.year() / date.month() / std::chrono::day(1));
}

Duration left_of(Period period, WallTime now) {
  const auto day = std::chrono::floor<std::chrono::days>(now);
  WallTime end = day + std::chrono::days(1);
  if (period == Period::month) {
    const std::chrono::year_month_day date(day);
    const auto next = std::chrono::year_month(date.year(), date.month()) + std::chrono::months(1);
    end = std::chrono::sys_days(next / std::chrono::day(1));
  }
  return std::chrono::duration_cast<Duration>(end - now);
}

bool Spend::seeded(std::int64_t period) const {
  const std::lock_guard lock(mutex_);
  return period_ == period;
}

void Spend::seed(std::int64_t period, Nano spent) {
  const std::lock_guard lock(mutex_);
  if (period <= period_) return;  // another was faster
  // A period that begins while the program runs begins with nothing spent; who asked for the sum of
  // one that was under way already brings it.
  period_ = period;
  spent_ = spent;
}

bool Spend::reserve(std::int64_t period, Nano limit, Nano estimate) {
  const std::lock_guard lock(mutex_);
  if (period != period_) return false;
  if (limit == kUnlimitedSpend) {
    spent_ += estimate;
    return true;
  }
  if (spent_ >= limit || estimate > limit - spent_) return false;
  spent_ += estimate;
  return true;
}

void Spend::settle(std::int64_t period, Nano estimate, Nano actual) {
  const std::lock_guard lock(mutex_);
  if (period == period_) spent_ += actual - estimate;
}

Nano Spend::spent(std::int64_t period) const {
  const std::lock_guard lock(mutex_);
  return period == period_ ? spent_ : 0;
}

bool limits_anything(const Limits& limits) {
  const auto rate = [](const std::optional<Quota>& quota) {
    return quota && quota->count != kUnlimitedNumber;
  };
  const auto money = [](const std::optional<Nano>& nano) {
    return nano && *nano != kUnlimitedSpend;
  };
  return rate(limits.requests) || rate(limits.tokens) ||
         (limits.inflight && *limits.inflight != kUnlimitedNumber) || money(limits.spend_day) ||
         money(limits.spend_month);
}

Limits own_limits(const Limits& own, const Limits& tenant, const Limits& standard) {
  const auto choose = [](const auto& mine, const auto& theirs, const auto& others) {
    using Value = std::remove_cvref_t<decltype(mine)>;
    if (mine) return mine;
    return theirs ? Value() : others;
  };
  Limits limits;
  limits.requests = choose(own.requests, tenant.requests, standard.requests);
  limits.tokens = choose(own.tokens, tenant.tokens, standard.tokens);
  limits.inflight = choose(own.inflight, tenant.inflight, standard.inflight);
  limits.spend_day = choose(own.spend_day, tenant.spend_day, standard.spend_day);
  limits.spend_month = choose(own.spend_month, tenant.spend_month, standard.spend_month);
  return limits;
}

}  // namespace penstock::limit
