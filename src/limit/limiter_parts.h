// What the limiter's two ways, by itself and shared, have in common.
#pragma once

#include "limit/limiter.h"

namespace penstock::limit {

inline constexpr std::array kPeriods = {Period::day, Period::month};

inline bool limited(const std::optional<Quota>& quota) {
  return quota && quota->count != kUnlimitedNumber;
}

inline bool limited(const std::optional<Nano>& money) { return money && *money != kUnlimitedSpend; }

inline const std::optional<Nano>& money_of(const Limits& limits, Period period) {
  return period == Period::day ? limits.spend_day : limits.spend_month;
}

inline bool limits_money(const Limits& limits) {
  return limited(limits.spend_day) || limited(limits.spend_month);
}

inline Refused refused(const Account& account, What what) {
  Refused refusal;
  refusal.owner = account.owner;
  refusal.what = what;
  refusal.name = account.name;
  return refusal;
}

inline Refused refused(const Account& account, What what, const Quota& quota,
                       const Decision& decision, std::uint64_t asked) {
  Refused refusal = refused(account, what);
  refusal.limit = quota.count;
  refusal.per = quota.per;
  refusal.asked = asked;
  refusal.retry_after = decision.retry_after;
  return refusal;
}

// The party with the least left speaks.
inline void tell(Told& told, const Quota& quota, const Decision& decision) {
  if (told.said() && told.remaining <= decision.remaining) return;
  told.limit = quota.count;
  told.remaining = decision.remaining;
  told.per = quota.per;
  told.reset = decision.reset;
}

}  // namespace penstock::limit
