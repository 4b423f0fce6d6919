// What a question costs: the active users of three windows, and its session.
#include <benchmark/benchmark.h>

#include "base/uuid.h"
#include "engagement/engagement.h"

namespace penstock::engagement {
namespace {

// So many users in turn, one worker and two.
void asked(benchmark::State& state) {
  static observe::Registry registry(1);
  static Engagement engagement({}, registry);
  Random random(static_cast<std::uint64_t>(state.thread_index()) + 1);
  const auto users = static_cast<std::uint64_t>(state.range(0));
  const auto now = std::chrono::system_clock::now();
  for (auto _ : state) {
    const std::uint64_t word = random.next();
    engagement.asked({1 + word % users, 0, 1 + (word >> 40), now});
  }
}
BENCHMARK(asked)->Arg(10)->Arg(10'000)->Threads(1)->Threads(2);

void estimate(benchmark::State& state) {
  Active active(false);
  const auto now = std::chrono::system_clock::now();
  for (std::uint64_t user = 1; user < 10'000; ++user) active.saw(user, now);
  for (auto _ : state) benchmark::DoNotOptimize(active.users(Active::day, now));
}
BENCHMARK(estimate);

}  // namespace
}  // namespace penstock::engagement
