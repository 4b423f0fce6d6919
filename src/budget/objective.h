// What was promised, as numbers: of so many things this share must be good. Every performance
// budget is one of these (a service level objective, as the SRE books have it), so that one
// arithmetic tells of all of them how much may still be missed, and how fast that is used up.
//
//   latency   answers with a 2xx that are no streams      good: within 200 ms     95 %
//   errors    answers                                     good: no 5xx            99 %
//   cache     answers that the cache had a part in        good: no engine asked   80 %
//   cpu       minutes of a node                           good: under 70 %        99 %
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "settings/settings.h"

namespace penstock::budget {

using Of = settings::BudgetOf;

struct Objective {
  std::string name;
  Of of{};
  double limit = 0;  // seconds, a share, or a number; of cache: nothing
  double share = 0;  // of what is counted that must be good: above 0, below 1
  bool live = false;
  settings::BudgetAlert alert{};
  std::string below;  // the limit as it was written
  double rate = 0;    // of throughput: requests a second; there is no share then

  // What is counted for it: "latency response<0.2". Other limits count something else.
  std::string measure() const;
  // "95% of answers below 200ms"
  std::string target() const;
};

// REQUIRES: settings that were checked.
std::vector<Objective> objectives(const settings::Settings& settings);

struct Window {
  std::string_view name;  // as Prometheus writes it
  std::int64_t minutes;
};
inline constexpr std::array<Window, 8> kWindows = {{{"5m", 5},
                                                    {"30m", 30},
                                                    {"1h", 60},
                                                    {"2h", 120},
                                                    {"6h", 360},
                                                    {"1d", 1440},
                                                    {"3d", 3 * 1440},
                                                    {"30d", 30 * 1440}}};
inline constexpr std::size_t kLongest = kWindows.size() - 1;

// What was counted, and how much of it was good.
struct Count {
  std::uint64_t good = 0;
  std::uint64_t total = 0;
  Count& operator+=(const Count& other) {
    good += other.good;
    total += other.total;
    return *this;
  }
  friend bool operator==(const Count&, const Count&) = default;
};

// How fast what may be missed is used up: at 1 all of it is gone at the end of the time that the
// promise is for. 0 where nothing was counted.
double burn_rate(const Count& count, double share);

}  // namespace penstock::budget
