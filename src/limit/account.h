// What one owner of limits (a key, a tenant, a model, all together) has used.
//
// The state of an owner stays while its limits change: a reload or an update of a key makes a new
// Account over the same State.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "limit/gcra.h"

namespace penstock::limit {

enum class Owner : std::uint8_t { key, tenant, model, global };
inline constexpr std::size_t kOwners = 4;
std::string_view label_of(Owner owner);

enum class What : std::uint8_t { requests, tokens, inflight, spend_day, spend_month };
std::string_view label_of(What what);

// The periods that money is counted in: UTC days and calendar months.
enum class Period : std::uint8_t { day, month };
// Its number: days since 1970, or months since year 0.
std::int64_t period_of(Period period, WallTime now);
WallTime begin_of(Period period, WallTime now);
// How long it still lasts.
Duration left_of(Period period, WallTime now);

// Money of the period under way. What is under way counts with its estimate until it is settled.
class Spend {
 public:
  // Whether what an earlier run spent in this period has been told (by `seed`).
  bool seeded(std::int64_t period) const;
  void seed(std::int64_t period, Nano spent);
  // False: spent + estimate would be over the limit. REQUIRES: seeded(period).
  bool reserve(std::int64_t period, Nano limit, Nano estimate);
  // What was reserved in `period` came to `actual`. Belongs to another period: nothing happens.
  void settle(std::int64_t period, Nano estimate, Nano actual);
  Nano spent(std::int64_t period) const;

 private:
  mutable std::mutex mutex_;
  std::int64_t period_ = -1;
  Nano spent_ = 0;
};

class SharedMeter;
class SharedPlaces;

struct State {
  Meter requests;
  Meter tokens;
  std::atomic<std::int64_t> inflight{0};
  std::array<Spend, 2> spend;  // by Period
  // Where Redis counts for all nodes these stand in place of the above, and money is there as well.
  std::shared_ptr<SharedMeter> shared_requests, shared_tokens;
  std::shared_ptr<SharedPlaces> shared_places;
  bool shared() const { return shared_requests != nullptr; }
};

struct Account {
  Owner owner = Owner::global;
  std::string name;  // of a key its id
  Limits limits;
  std::shared_ptr<State> state;
  std::string tenant;  // whose hash tag its counters have where they are shared
};
using AccountPtr = std::shared_ptr<const Account>;

// Whether anything is limited at all.
bool limits_anything(const Limits& limits);
// The limits of a caller by itself: its own; what neither it nor its tenant decides, by default.
Limits own_limits(const Limits& own, const Limits& tenant, const Limits& standard);

}  // namespace penstock::limit
