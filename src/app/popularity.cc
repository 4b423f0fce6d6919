#include "app/popularity.h"

#include <algorithm>
#include <iterator>

#include "base/give_way.h"
#include "base/sleep.h"

namespace penstock::app {
namespace {

constexpr Duration kRound = 1min;
constexpr std::int64_t kKept = 4;  // times what one node tells: others have favourites of their own

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Task<Result<void>> write_down(gateway::Popular& popular, store::Database& database,
                              Deadline& deadline) {
  std::vector<store::PopularQuestion> taken = popular.take();
  while (!taken.empty()) {
    const std::size_t size = std::min(taken.size(), store::kMostPopular);
    const auto begin = taken.end() - static_cast<std::ptrdiff_t>(size);
    std::vector<store::PopularQuestion> some(begin, taken.end());
    Result<void> added = co_await store::add_popular(database, std::move(some), now_us(), deadline);
    if (!added) {
      popular.give_back(taken);
      co_return std::move(added).error();
    }
    taken.erase(begin, taken.end());
  }
  const auto keep = static_cast<std::int64_t>(popular.most()) * kKept;
  Result<void> forgotten = co_await store::forget_unpopular(database, now_us(), keep, deadline);
  co_return forgotten;
}

}  // namespace

Popularity::Popularity(gateway::Popular& popular, store::Database& database, observe::Log& log)
    : popular_(popular), database_(database), log_(log), thread_([this] {
        give_way();
        loop_.spawn(write_on());
        loop_.run();
      }) {}

Task<void> Popularity::write_on() {
  Deadline forever(loop_, Time::max());
  for (;;) {
    co_await sleep_until(Clock::now() + kEach, forever);
    Deadline deadline(forever, Clock::now() + kRound);
    Result<void> written = co_await write_down(popular_, database_, deadline);
    if (!written) {
      log_.debug("what is asked most could not be written down",
                 {{"reason", written.error().detail}});
    }
  }
}

void Popularity::end(Time until) {
  if (ended_.exchange(true)) return;
  loop_.stop();
  thread_.join();
  const Time now = Clock::now();
  if (until <= now) return;
  const Result<void> written = store::wait(until - now, [this](Deadline& deadline) {
    return write_down(popular_, database_, deadline);
  });
  if (!written) {
    log_.warning("what was asked most could not be written down",
                 {{"setting", "cache.warm.popular"}, {"reason", written.error().detail}});
  }
}

}  // namespace penstock::app
