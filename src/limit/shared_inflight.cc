#include "limit/shared_inflight.h"

#include <algorithm>
#include <array>

namespace penstock::limit {
namespace {

constexpr Duration kTellWait = 1s;  // nobody waits for it
constexpr std::uint64_t kMost = 1ULL << 40;

}  // namespace

void SharedPlaces::enlist() {
  if (!listed_.exchange(true)) shared_->enlist(shared_from_this());
}

Task<Result<bool>> SharedPlaces::say(redis::Client& client, std::int64_t limit,
                                     Deadline& deadline) {
  changed_.store(false);
  // Numbers go on after a restart of the node: they begin with its clock.
  const std::uint64_t start =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                     std::chrono::system_clock::now().time_since_epoch())
                                     .count());
  std::uint64_t number = number_.load();
  while (!number_.compare_exchange_weak(number, std::max(number + 1, start))) {
  }
  number = std::max(number + 1, start);
  const std::array<std::string, 4> numbers = {
      std::to_string(count_.load()), std::to_string(number), std::to_string(limit),
      std::to_string(
          std::chrono::duration_cast<std::chrono::microseconds>(Shared::kSilence).count())};
  const std::array<std::string_view, 5> arguments = {shared_->node(), numbers[0], numbers[1],
                                                     numbers[2], numbers[3]};
  const std::array<std::string_view, 1> keys = {key_};
  Result<redis::Value> value =
      co_await client.eval(shared_->scripts().inflight, keys, arguments, deadline);
  if (!value || value->items.size() != 2) {
    changed_.store(true);
    if (value) co_return Error{Kind::broken, Source::store, false, "not the answer of the script"};
    co_return std::move(value).error();
  }
  said_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
  co_return value->items[0].integer == 1;
}

Task<bool> SharedPlaces::enter(std::shared_ptr<SharedPlaces> self, redis::Client* client,
                               std::uint64_t limit, Deadline& deadline) {
  SharedPlaces& places = *self;
  const auto most = static_cast<std::int64_t>(std::min(limit, kMost));
  const std::int64_t held = places.count_.fetch_add(1) + 1;
  places.enlist();
  bool good = held <= most;
  if (good && limit < kMost) {
    const Time now = Clock::now();
    bool decided = false;
    if (client != nullptr && client->available(now) && !deadline.over()) {
      Result<bool> said = co_await places.say(*client, most, deadline);
      decided = said.ok();
      if (said) good = *said;
    }
    if (!decided) {
      const auto own = std::max<std::int64_t>(1, most / places.shared_->nodes());
      good = held <= own;
    }
  }
  if (!good) places.leave();
  co_return good;
}

void SharedPlaces::leave() {
  count_.fetch_sub(1);
  changed_.store(true);
  enlist();
}

bool SharedPlaces::due(const SharedPlaces& places, Time now) {
  const Time said{Duration(places.said_.load(std::memory_order_relaxed))};
  return places.changed_.load() || (places.here() > 0 && now - said > Shared::kBeat);
}

bool SharedPlaces::idle() const { return here() == 0 && !changed_.load(); }

Task<void> SharedPlaces::tell(std::shared_ptr<SharedPlaces> self, redis::Client& client,
                              Loop& loop) {
  Deadline deadline(loop, Clock::now() + kTellWait);
  Result<bool> said = co_await self->say(client, -1, deadline);
  if (!said) self->enlist();  // the next tick tries again
}

}  // namespace penstock::limit
