#include "limit/shared.h"

#include <algorithm>
#include <limits>

#include "base/sleep.h"
#include "limit/shared_inflight.h"

namespace penstock::limit {
namespace {

constexpr Duration kSettleWait = 1s;  // nobody waits for it

std::int64_t micros(Duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

std::int64_t whole(std::uint64_t cost) {
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(cost, std::numeric_limits<std::int64_t>::max() / 4));
}

// Leaves no question under way, however its coroutine ends.
template <class End>
struct AtEnd {
  explicit AtEnd(End what) : end(std::move(what)) {}
  AtEnd(const AtEnd&) = delete;
  AtEnd& operator=(const AtEnd&) = delete;
  ~AtEnd() { end(); }
  End end;
};

}  // namespace

// ---- what is known here ------------------------------------------------------------------------

Quota SharedMeter::share(const Quota& quota) const {
  return {std::max<std::uint64_t>(1, quota.count / shared_->nodes()), quota.per};
}

bool SharedMeter::spend(std::uint64_t cost, Time now) {
  std::int64_t held = balance_.load(std::memory_order_relaxed);
  do {
    if (held < whole(cost)) return false;
  } while (!balance_.compare_exchange_weak(held, held - whole(cost), std::memory_order_relaxed));
  used_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  return true;
}

Decision SharedMeter::told(const Quota& quota, Time now, bool admitted, Duration wait) const {
  const Time owed_until{Duration(owed_until_.load(std::memory_order_relaxed))};
  const Duration owed = std::max(owed_until - now, Duration::zero());
  const std::int64_t held = std::max<std::int64_t>(0, balance_.load(std::memory_order_relaxed));
  const std::uint64_t left = cost_in(quota, quota.per - owed) + static_cast<std::uint64_t>(held);
  return {admitted, std::min(left, quota.count), wait, owed};
}

std::optional<Decision> SharedMeter::try_take(const Quota& quota, Time now, std::uint64_t cost) {
  if (quota.count == kUnlimitedNumber || quota.count == 0) {
    Time none{};
    return decide(quota, none, now, cost);
  }
  if (spend(cost, now)) return told(quota, now, true, Duration::zero());
  const std::lock_guard lock(mutex_);
  return decide_here(quota, now, cost);
}

std::optional<Decision> SharedMeter::decide_here(const Quota& quota, Time now, std::uint64_t cost) {
  quota_ = quota;
  if (spend(cost, now)) return told(quota, now, true, Duration::zero());
  if (cost > quota.count) return told(quota, now, false, Duration::max());
  if (away_ && now < away_until_) return by_own_share(quota, now, cost);

  // Others add to what is owed, and now and then give back: what it was refuses for a moment, else
  // Redis has to be asked.
  const Time owed_until{Duration(owed_until_.load(std::memory_order_relaxed))};
  const Duration owed = std::max(owed_until - now, Duration::zero());
  const std::int64_t missing = whole(cost) - balance_.load(std::memory_order_relaxed);
  const auto lacking = static_cast<std::uint64_t>(std::max<std::int64_t>(missing, 0));
  if (now < answered_ + Shared::kRecall && lacking > cost_in(quota, quota.per - owed)) {
    const Duration wait = owed + debt_of(quota, lacking) - quota.per;
    return told(quota, now, false, std::max<Duration>(wait, 1us));
  }
  if (now < ask_after_ && lacking > left_) return told(quota, now, false, ask_after_ - now);
  return std::nullopt;
}

Decision SharedMeter::by_own_share(const Quota& quota, Time now, std::uint64_t cost) {
  shared_->unshared().by_share.fetch_add(1, std::memory_order_relaxed);
  const Quota own = share(quota);
  // Also who could not wait for a Redis that is there decides so.
  if (!away_) own_paid_off_ = std::max(own_paid_off_, Time{Duration(owed_until_.load())});
  // A request that is larger than the share could never be admitted: it takes all of it.
  const std::uint64_t asked = std::min(cost, own.count);
  const Decision decision = decide(own, own_paid_off_, now, asked);
  if (decision.admitted) own_cost_ += asked;
  return decision;
}

// ---- asking ------------------------------------------------------------------------------------

SharedMeter::Question SharedMeter::question(const Quota& quota, Time now, std::uint64_t cost) {
  const std::int64_t held = balance_.load(std::memory_order_relaxed);
  const std::uint64_t least = waiting_least_ == 0 ? cost : std::min(cost, waiting_least_);
  const std::uint64_t rate = cost_in(quota, Shared::kLease);
  const std::uint64_t all = std::max(rate / shared_->nodes(), cost + waiting_cost_);
  waiting_cost_ = waiting_least_ = 0;
  Question asked{};
  const std::int64_t most = whole(quota.count);
  asked.needed = std::clamp<std::int64_t>(whole(least) - held, 1, most);
  asked.wanted = std::clamp<std::int64_t>(whole(all) - held, asked.needed, most);
  asked.own = own_cost_;
  if (own_cost_ > 0) {
    const Quota own = share(quota);
    const std::uint64_t owed =
        cost_in(own, std::min(std::max(own_paid_off_ - now, Duration::zero()), own.per));
    asked.late_all = whole(owed);
    asked.late = whole(std::min(owed, own_cost_));
  }
  return asked;
}

void SharedMeter::answered(const Quota& quota, const Question& asked, Time sent, Time now,
                           const Answer& answer) {
  away_ = false;
  answered_ = sent;
  // Admitted since the question was asked: to be told too.
  if (own_cost_ > asked.own) hold(quota, -whole(own_cost_ - asked.own));
  own_cost_ = 0;
  own_paid_off_ = Time();
  const Time owed_until = sent + std::chrono::microseconds(answer.owed_us);
  owed_until_.store(owed_until.time_since_epoch().count(), std::memory_order_relaxed);
  left_ = static_cast<std::uint64_t>(std::max<std::int64_t>(answer.left, 0));
  // There was not all that was wanted: a moment passes before it is asked for again, so that an
  // overload is not an overload of Redis too. What is paid off meanwhile is not lost.
  if (answer.granted < asked.wanted) ask_after_ = now + Shared::kPause;
  if (answer.granted > 0) {
    used_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    hold(quota, answer.granted);
  }
}

void SharedMeter::went_away(Time now) {
  const Time known{Duration(owed_until_.load(std::memory_order_relaxed))};
  if (!away_) own_paid_off_ = std::max(own_paid_off_, known);
  away_ = true;
  away_until_ = now + Shared::kAway;
}

void SharedMeter::wake() {
  for (const Signal& signal : waiting_) signal.wake();
  waiting_.clear();
}

Task<Decision> SharedMeter::take(std::shared_ptr<SharedMeter> self, redis::Client* client,
                                 Quota quota, std::uint64_t cost, Deadline& deadline) {
  SharedMeter& meter = *self;
  for (;;) {
    const Time now = Clock::now();
    std::optional<Decision> known = meter.try_take(quota, now, cost);
    if (known) co_return *known;
    std::optional<Signal> others;
    Question asked{};
    {
      const std::lock_guard lock(meter.mutex_);
      // Within the time that is left for it: who cannot wait decides by the own share.
      if (deadline.over()) co_return meter.by_own_share(quota, now, cost);
      if (meter.asking_) {
        meter.waiting_cost_ += cost;
        meter.waiting_least_ =
            meter.waiting_least_ == 0 ? cost : std::min(cost, meter.waiting_least_);
        others = meter.waiting_.emplace_back(deadline.loop());
      } else {
        if (client == nullptr || !client->available(now)) {
          meter.went_away(now);
          co_return meter.by_own_share(quota, now, cost);
        }
        meter.asking_ = true;
        asked = meter.question(quota, now, cost);
      }
    }
    if (others) {
      Result<void> woken = co_await others->wait(deadline);
      (void)woken;
      continue;
    }

    const auto end = [&meter] {
      const std::lock_guard lock(meter.mutex_);
      meter.asking_ = false;
      meter.wake();
    };
    const AtEnd<decltype(end)> at_end(end);
    const std::array<std::string, 6> numbers = {
        std::to_string(quota.count),  std::to_string(micros(quota.per)),
        std::to_string(asked.needed), std::to_string(asked.wanted),
        std::to_string(asked.late),   std::to_string(asked.late_all)};
    const std::array<std::string_view, 6> arguments = {numbers[0], numbers[1], numbers[2],
                                                       numbers[3], numbers[4], numbers[5]};
    const std::array<std::string_view, 1> keys = {meter.key_};
    Result<redis::Value> value =
        co_await client->eval(meter.shared_->scripts().take, keys, arguments, deadline);
    const Time later = Clock::now();
    const std::lock_guard lock(meter.mutex_);
    if (value && value->items.size() == 4) {
      const auto& items = value->items;
      meter.answered(quota, asked, now, later,
                     {items[0].integer, items[1].integer, items[2].integer, items[3].integer});
      const std::optional<Decision> decided = meter.decide_here(quota, later, cost);
      if (decided) co_return *decided;
    } else {
      meter.went_away(later);
      co_return meter.by_own_share(quota, later, cost);
    }
  }
}

// ---- what is settled later ---------------------------------------------------------------------

void SharedMeter::hold(const Quota& quota, std::int64_t cost) {
  // Never beyond ten bursts of debt: a wrong estimate would lock its owner out for long.
  const std::int64_t least = -10 * whole(std::min<std::uint64_t>(quota.count, 1ULL << 56));
  std::int64_t held = balance_.load(std::memory_order_relaxed);
  while (!balance_.compare_exchange_weak(held, std::max(held + cost, least),
                                         std::memory_order_relaxed)) {
  }
  if (!listed_.exchange(true)) shared_->enlist(shared_from_this());
}

void SharedMeter::give_back(const Quota& quota, Time now, std::uint64_t cost) {
  if (quota.count == 0 || quota.count == kUnlimitedNumber || cost == 0) return;
  const std::lock_guard lock(mutex_);
  quota_ = quota;
  if (away_ && now < away_until_) {
    const Quota own = share(quota);
    own_paid_off_ -= debt_of(own, std::min(cost, own.count));
    own_cost_ -= std::min(own_cost_, cost);
    return;
  }
  hold(quota, whole(cost));
}

void SharedMeter::take_regardless(const Quota& quota, Time now, std::uint64_t cost) {
  if (quota.count == 0 || quota.count == kUnlimitedNumber || cost == 0) return;
  const std::lock_guard lock(mutex_);
  quota_ = quota;
  if (away_ && now < away_until_) {
    const Quota own = share(quota);
    const Duration debt = std::min(own.per * 10, debt_of(own, cost));
    own_paid_off_ = std::max(own_paid_off_, now) + debt;
    own_cost_ += cost;
    return;
  }
  hold(quota, -whole(cost));
}

std::optional<SharedMeter::Rest> SharedMeter::rest(Time now) {
  const std::lock_guard lock(mutex_);
  if (away_ || asking_) return std::nullopt;
  std::int64_t held = balance_.load(std::memory_order_relaxed);
  const Time used{Duration(used_.load(std::memory_order_relaxed))};
  // What came back beyond a lease is of no use here.
  const auto lease =
      whole(std::max<std::uint64_t>(1, cost_in(quota_, Shared::kLease) / shared_->nodes()));
  std::int64_t gone = held;
  if (held > 0 && now - used < Shared::kLease) gone = held - std::min(held, lease * 2);
  if (gone == 0) return std::nullopt;
  if (!balance_.compare_exchange_strong(held, held - gone, std::memory_order_relaxed)) {
    return std::nullopt;  // it is in use: next time
  }
  if (gone > 0) {
    // They are there again for whoever asks.
    owed_until_.fetch_sub(debt_of(quota_, static_cast<std::uint64_t>(gone)).count(),
                          std::memory_order_relaxed);
    left_ += static_cast<std::uint64_t>(gone);
  }
  return Rest{quota_, -gone};
}

// ---- the housekeeping --------------------------------------------------------------------------

void Shared::enlist(const std::shared_ptr<SharedMeter>& meter) {
  const std::lock_guard lock(mutex_);
  meters_.push_back(meter);
}

void Shared::enlist(const std::shared_ptr<SharedPlaces>& places) {
  const std::lock_guard lock(mutex_);
  places_.push_back(places);
}

Task<void> Shared::settle(std::shared_ptr<Shared> self, std::shared_ptr<SharedMeter> meter,
                          redis::Client& client, Quota quota, std::int64_t cost, Loop& loop) {
  Deadline deadline(loop, Clock::now() + kSettleWait);
  const std::array<std::string, 3> numbers = {
      std::to_string(quota.count), std::to_string(micros(quota.per)), std::to_string(cost)};
  const std::array<std::string_view, 3> arguments = {numbers[0], numbers[1], numbers[2]};
  const std::array<std::string_view, 1> keys = {meter->key_};
  Result<redis::Value> value =
      co_await client.eval(self->scripts_.settle, keys, arguments, deadline);
  // What was used stays to be told; whether it was is not known where the connection broke.
  if (!value && value.error().kind == Kind::unreachable && cost > 0) meter->hold(quota, -cost);
}

void Shared::owe(const std::string& spend_key, Nano difference) {
  const std::lock_guard lock(mutex_);
  Nano& owed = owed_[spend_key];
  owed += difference;
  if (owed == 0) owed_.erase(spend_key);
}

Task<void> Shared::settle_spend(std::shared_ptr<Shared> self, std::string key, Nano difference,
                                redis::Client& client, Loop& loop) {
  Deadline deadline(loop, Clock::now() + kSettleWait);
  const std::string amount = std::to_string(difference);
  const std::array<std::string_view, 1> keys = {key};
  const std::array<std::string_view, 1> arguments = {amount};
  Result<redis::Value> value =
      co_await client.eval(self->scripts_.spend, keys, arguments, deadline);
  // Not sent: the next tick tries again. Where nobody knows whether it was done, the sum may be too
  // high afterwards, never too low.
  if (!value && (value.error().kind == Kind::unreachable || difference > 0)) {
    self->owe(key, difference);
  }
}

Task<void> Shared::count_nodes(std::shared_ptr<Shared> self, redis::Client& client, Loop& loop) {
  Deadline deadline(loop, Clock::now() + kSettleWait);
  const std::string silence = std::to_string(micros(kSilence));
  const std::array<std::string_view, 1> keys = {"penstock:limit:nodes"};
  const std::array<std::string_view, 2> arguments = {self->node_, silence};
  Result<redis::Value> value =
      co_await client.eval(self->scripts_.nodes, keys, arguments, deadline);
  if (value && value->integer > 0) {
    self->set_nodes(static_cast<unsigned>(std::min<std::int64_t>(value->integer, 100'000)));
  }
}

void Shared::tick(const std::shared_ptr<Shared>& self, redis::Client& client, Loop& loop,
                  Time now) {
  std::vector<std::weak_ptr<SharedMeter>> meters;
  std::vector<std::weak_ptr<SharedPlaces>> places;
  std::map<std::string, Nano> owed;
  {
    const std::lock_guard lock(mutex_);
    meters.swap(meters_);
    places.swap(places_);
    owed.swap(owed_);
  }
  for (const std::weak_ptr<SharedMeter>& listed : meters) {
    const std::shared_ptr<SharedMeter> meter = listed.lock();
    if (!meter) continue;
    const std::optional<SharedMeter::Rest> rest = meter->rest(now);
    if (rest) loop.spawn(settle(self, meter, client, rest->quota, rest->cost, loop));
    meter->listed_.store(false);
    if (!meter->idle() && !meter->listed_.exchange(true)) enlist(meter);
  }
  for (const std::weak_ptr<SharedPlaces>& listed : places) {
    const std::shared_ptr<SharedPlaces> place = listed.lock();
    if (!place) continue;
    if (SharedPlaces::due(*place, now)) loop.spawn(SharedPlaces::tell(place, client, loop));
    place->listed_.store(false);
    if (!place->idle() && !place->listed_.exchange(true)) enlist(place);
  }
  for (const auto& [key, difference] : owed) {
    loop.spawn(settle_spend(self, key, difference, client, loop));
  }
}

Task<void> Shared::keep(std::shared_ptr<Shared> self, redis::Client& client, Deadline& until) {
  Loop& loop = until.loop();
  Time counted{};
  while (!until.over()) {
    const Time now = Clock::now();
    if (client.available(now) && client.connections() > 0) {
      self->tick(self, client, loop, now);
      if (now - counted >= kBeat) {
        loop.spawn(count_nodes(self, client, loop));
        counted = now;
      }
    }
    co_await sleep_until(now + kTick, until);
  }
}

void Shared::show(observe::Registry& registry, const std::weak_ptr<Shared>& of) {
  const auto watch = [&](const char* decision, std::atomic<std::uint64_t> Unshared::*count) {
    registry.watch(observe::Type::counter, "penstock_ratelimit_unshared_total",
                   "Decisions about limits without the other nodes, since Redis did not answer in "
                   "time: by this node's share, or (money) refused.",
                   {{"decision", decision}}, [of, count]() -> std::optional<double> {
                     const auto shared = of.lock();
                     if (!shared) return std::nullopt;
                     return static_cast<double>((shared->unshared_.*count).load());
                   });
  };
  watch("share", &Unshared::by_share);
  watch("refused", &Unshared::refused);
}

}  // namespace penstock::limit
