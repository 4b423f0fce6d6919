#include "limit/gcra.h"

#include <algorithm>

namespace penstock::limit {
namespace {

__extension__ using Wide = __int128;

}  // namespace

Duration debt_of(const Quota& quota, std::uint64_t cost) {
  const Wide debt = static_cast<Wide>(cost) * quota.per.count() / static_cast<Wide>(quota.count);
  return Duration(
      static_cast<Duration::rep>(std::min(debt, static_cast<Wide>(Duration::max().count()) / 4)));
}

// Rounded to the nearest thousandth before it is cut, so that what was just given back counts
// whole.
std::uint64_t cost_in(const Quota& quota, Duration room) {
  if (room <= Duration::zero()) return 0;
  const Wide exact = static_cast<Wide>(room.count()) * static_cast<Wide>(quota.count);
  return static_cast<std::uint64_t>((exact + quota.per.count() / 1000) / quota.per.count());
}

Decision decide(const Quota& quota, Time& paid_off, Time now, std::uint64_t cost) {
  if (quota.count == kUnlimitedNumber) return {true, kUnlimitedNumber, {}, {}};
  if (quota.count == 0) return {cost == 0, 0, cost == 0 ? Duration::zero() : Duration::max(), {}};
  const Duration full = quota.per;
  // A reload may have made the burst smaller than what is owed already.
  const Duration owed = std::max(paid_off - now, Duration::zero());
  const auto told = [&](bool admitted, Duration debt, Duration wait) {
    return Decision{admitted, cost_in(quota, full - debt), wait, debt};
  };
  // Compared before it is multiplied: a huge cost must not overflow the clock.
  if (cost > quota.count) return told(false, owed, Duration::max());
  const Duration debt = owed + debt_of(quota, cost);
  if (debt > full) return told(false, owed, debt - full);
  paid_off = now + debt;
  return told(true, debt, Duration::zero());
}

Decision Meter::take(const Quota& quota, Time now, std::uint64_t cost) {
  Time::rep known = paid_off_.load(std::memory_order_relaxed);
  for (;;) {
    Time paid_off{Duration(known)};
    const Decision decision = decide(quota, paid_off, now, cost);
    if (!decision.admitted) return decision;
    const Time::rep next = paid_off.time_since_epoch().count();
    if (next == known || paid_off_.compare_exchange_weak(known, next, std::memory_order_relaxed)) {
      return decision;
    }
  }
}

Decision Meter::look(const Quota& quota, Time now) const {
  Time paid_off{Duration(paid_off_.load(std::memory_order_relaxed))};
  return decide(quota, paid_off, now, 0);
}

void Meter::give_back(const Quota& quota, std::uint64_t cost) {
  if (quota.count == 0 || quota.count == kUnlimitedNumber) return;
  paid_off_.fetch_sub(debt_of(quota, cost).count(), std::memory_order_relaxed);
}

void Meter::take_regardless(const Quota& quota, Time now, std::uint64_t cost) {
  if (quota.count == 0 || quota.count == kUnlimitedNumber) return;
  Time::rep known = paid_off_.load(std::memory_order_relaxed);
  for (;;) {
    const Time::rep base = std::max(known, now.time_since_epoch().count());
    // More than ten bursts would lock its owner out for long over one wrong estimate.
    const Duration most = std::min(quota.per * 10, debt_of(quota, cost));
    if (paid_off_.compare_exchange_weak(known, base + most.count(), std::memory_order_relaxed)) {
      return;
    }
  }
}

}  // namespace penstock::limit
