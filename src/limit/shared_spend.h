// Money that several nodes count together, by UTC day and month, in Redis.
//
//   reserve(estimate) ─> settle(actual - estimate)
//        │ unknown
//        └─> the ledger's sum ─> seed ─> reserve again
//
// A sum that is missing (a new day, a Redis that lost it) is not zero: it is unknown, and whoever
// asks takes it from the ledger. Two who seed at once agree on the first. A Redis that cannot be
// reached is an Error: what must not be overspent is refused then.
#pragma once

#include <array>
#include <optional>

#include "limit/shared.h"

namespace penstock::limit {

struct Reserved {
  enum class Outcome : std::uint8_t { reserved, refused, unknown };
  Outcome outcome = Outcome::refused;
  Period which = Period::day;   // that refused or is unknown
  std::array<Nano, 2> spent{};  // by Period; 0 where it is not limited
};

class SharedSpend {
 public:
  static constexpr Duration kKeepDay = std::chrono::days(2);
  static constexpr Duration kKeepMonth = std::chrono::days(40);

  explicit SharedSpend(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  // All or nothing of what account.limits says of money. The account must outlive the call.
  Task<Result<Reserved>> reserve(redis::Client& client, const Account& account, Nano estimate,
                                 WallTime wall, Deadline& deadline) const;
  // What was reserved at `wall` came to `difference` more, or less.
  Task<Result<void>> settle(redis::Client& client, const Account& account, Nano difference,
                            WallTime wall, Deadline& deadline) const;
  // What the ledger knows of it. Where another node was faster its sum stays.
  Task<Result<void>> seed(redis::Client& client, const Account& account, Period period, Nano spent,
                          WallTime wall, Deadline& deadline) const;

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace penstock::limit
