// What two workers get out of one memory cache, over what one gets alone.
//
// 10,000 answers of 1.5 KiB to requests of 400 bytes, asked for by Zipf 0.9 and always found. A
// worker is a thread on a core of its own. Each round measures one worker on either core, then both
// at once; the ratio is what both did over the mean of the two alone, so that cores need not be
// equal. What is counted is a worker's own CPU time: other processes cost it none, while a line of
// memory that the other worker holds does. `waited` is the greatest share of its time for which a
// worker had to wait for its core: where it is large the two were not often at work at once, and
// the round is done again.
//
//   cache_workers [--rounds N]     a line of JSON for each round and door
#include <pthread.h>
#include <time.h>

#include <array>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <thread>

#include "cache/memory.h"
#include "cache_load.h"

namespace penstock::cache {
namespace {

constexpr std::uint32_t kEntries = 10'000;
constexpr std::size_t kBody = 400;
constexpr std::size_t kAnswer = 1536;
constexpr std::size_t kOrder = 1 << 16;
constexpr auto kLasts = 4ms;          // short: of many such looks some are undisturbed
constexpr double kMostWaited = 0.02;  // of a worker's time, for a core that another process had
constexpr int kMostTries = 500;       // for one round: the one that waited least counts
const Time kNow{1000s};

enum class Door { bytes, key };

// A request whose only difference from the others stands in its middle, in a buffer of the worker's
// own, as a socket would have left it.
class Request {
 public:
  Request() : text_(kBody, 'q') {}
  std::string_view number(std::uint32_t number) {
    std::memcpy(text_.data() + kBody / 2, &number, sizeof number);
    return text_;
  }

 private:
  std::string text_;
};

void fill(MemoryCache& cache) {
  Request request;
  for (std::uint32_t i = 0; i < kEntries; ++i) {
    auto entry = std::make_shared<Entry>();
    entry->key = key_of(i);
    entry->expires = entry->early = entry->kept = kNow + 1h;
    entry->plain = Prepared(std::string(200, 'h'), std::string(kAnswer, 'a'));
    cache.store(entry);
    cache.remember_bytes("", 1, request.number(i), entry, Form::plain, {1, 0, 0});
  }
}

struct Work {
  std::uint64_t found = 0;
  double seconds = 0;  // of its CPU
  double waited = 0;   // share of its time, for a core
  double rate() const { return static_cast<double>(found) / seconds; }
};

// How long this thread was ready to run and did not.
double waited_seconds() {
  std::ifstream file("/proc/thread-self/schedstat");
  std::uint64_t ran = 0;
  std::uint64_t waited = 0;
  file >> ran >> waited;
  return static_cast<double>(waited) * 1e-9;
}

double cpu_seconds() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

Work work(MemoryCache& cache, Door door, unsigned core, const std::vector<std::uint32_t>& order,
          const std::vector<Key>& keys, std::atomic<int>& missing) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  pthread_setaffinity_np(pthread_self(), sizeof cores, &cores);
  // The workers begin together.
  --missing;
  while (missing > 0) {
  }
  Request request;
  Work done;
  std::size_t at = 0;
  const double waited = waited_seconds();
  const double used = cpu_seconds();
  for (const Time until = Clock::now() + kLasts; Clock::now() < until;) {
    for (int i = 0; i < 256; ++i) {
      const std::uint32_t number = order[at++ % kOrder];
      const bool found = door == Door::bytes
                             ? cache.find_bytes("", 1, request.number(number), kNow).has_value()
                             : cache.find(keys[number], "", kNow) != nullptr;
      done.found += found ? 1 : 0;
    }
  }
  done.seconds = cpu_seconds() - used;
  done.waited = waited_seconds() - waited;
  done.waited /= done.seconds + done.waited;
  if (done.found < at) std::fputs("cache_workers: an answer is missing\n", stderr), std::exit(1);
  return done;
}

class Bench {
 public:
  Bench() {
    fill(cache_);
    const Zipf zipf(kEntries, 0.9);
    for (unsigned core = 0; core < 2; ++core) {
      Random random(core + 1);
      for (std::size_t i = 0; i < kOrder; ++i) orders_[core].push_back(zipf.next(random));
    }
    for (std::uint32_t i = 0; i < kEntries; ++i) keys_.push_back(key_of(i));
  }

  // What each of these cores did.
  std::array<Work, 2> run(Door door, bool first, bool second) {
    std::array<Work, 2> done;
    std::atomic<int> missing = first && second ? 2 : 1;
    std::vector<std::thread> threads;
    for (unsigned core = 0; core < 2; ++core) {
      if (!(core == 0 ? first : second)) continue;
      threads.emplace_back(
          [&, core] { done[core] = work(cache_, door, core, orders_[core], keys_, missing); });
    }
    for (std::thread& thread : threads) thread.join();
    return done;
  }

 private:
  MemoryCache cache_{MemoryOptions{}};
  std::array<std::vector<std::uint32_t>, 2> orders_;
  std::vector<Key> keys_;
};

struct Round {
  double alone;
  double both;
  double waited;  // the greatest share
};

Round measure_once(Bench& bench, Door door) {
  const Work one = bench.run(door, true, false)[0];
  const Work other = bench.run(door, false, true)[1];
  const auto both = bench.run(door, true, true);
  Round round{(one.rate() + other.rate()) / 2, both[0].rate() + both[1].rate(), 0};
  for (const Work& each : {one, other, both[0], both[1]}) {
    round.waited = std::max(round.waited, each.waited);
  }
  return round;
}

void measure(int rounds) {
  Bench bench;
  for (int number = 0; number < rounds; ++number) {
    for (const Door door : {Door::bytes, Door::key}) {
      Round round = measure_once(bench, door);
      for (int i = 1; i < kMostTries && round.waited > kMostWaited; ++i) {
        const Round again = measure_once(bench, door);
        if (again.waited < round.waited) round = again;
      }
      std::printf(
          "{\"door\": \"%s\", \"alone_per_second\": %.0f, \"both_per_second\": %.0f, "
          "\"ratio\": %.3f, \"waited\": %.4f}\n",
          door == Door::bytes ? "bytes" : "key", round.alone, round.both, round.both / round.alone,
          round.waited);
      std::fflush(stdout);
    }
  }
}

}  // namespace
}  // namespace penstock::cache

int main(int argc, char** argv) {
  int rounds = 15;
  if (argc == 3 && std::string_view(argv[1]) == "--rounds") {
    const std::string_view given(argv[2]);
    std::from_chars(given.begin(), given.end(), rounds);
  } else if (argc != 1) {
    std::fputs("usage: cache_workers [--rounds N]\n", stderr);
    return 2;
  }
  penstock::cache::measure(rounds);
}
