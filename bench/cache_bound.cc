// What the memory cache takes from the system, beside what it was told that it may take.
//
// Two workers store millions of answers of mixed sizes, 200 bytes to 64 KiB and the smaller the
// more of them, with the bytes of most of the requests. Some are read again, and some of those that
// were let go come back, so that all queues are in use. What is looked at is the growth of the
// process's resident set, allocator and all: its greatest and its last value while the cache is
// full. What the allocator holds for nobody is given back as often as the gateway does it.
//
//   cache_bound [--inserts N]     one line of JSON
#include <malloc.h>

#include <array>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <thread>

#include "cache/memory.h"
#include "cache_load.h"
#include "observe/process.h"

namespace penstock::cache {
namespace {

constexpr std::uint64_t kSize = 256ull << 20;
constexpr double kLeast = 200;
constexpr double kMost = 65536;
constexpr std::uint64_t kBack = 200'000;  // inserts ago: about as many as it holds
constexpr std::uint64_t kLook = 50'000;   // inserts between two looks
constexpr unsigned kWorkers = 2;
constexpr int kTrimEach = 50;  // tenths of a second: the admin listener's
const Time kNow{1000s};

// From the least to the most, with a density that falls with the square of the size.
std::size_t size_of(Random& random) {
  return static_cast<std::size_t>(kLeast / (1 - random.unit() * (1 - kLeast / kMost)));
}

void insert(MemoryCache& cache, std::uint64_t number, Random& random) {
  static const std::string text(static_cast<std::size_t>(kMost), 'a');
  auto entry = std::make_shared<Entry>();
  entry->key = key_of(number);
  entry->model = "some-model-of-today";
  entry->engine = "engine";
  entry->expires = entry->early = entry->kept = kNow + 1h;
  entry->plain = Prepared("content-type: application/json\r\n",
                          std::string_view(text).substr(0, size_of(random)));
  cache.store(entry);
  if (number % 4 == 0) return;
  std::string body = std::to_string(number);
  body.append(text, 0, size_of(random) / 2);
  cache.remember_bytes("", 1, body, entry, Form::plain, {1, 0, 0});
  if (number % 3 != 0) return;
  for (int i = 0; i < 2; ++i) (void)cache.find_bytes("", 1, body, kNow);
}

struct Seen {
  std::uint64_t most = 0;
  std::uint64_t last = 0;
};

void work(MemoryCache& cache, unsigned worker, std::uint64_t inserts, std::uint64_t before,
          Seen& seen) {
  Random random(worker + 1);
  for (std::uint64_t i = worker; i < inserts; i += kWorkers) {
    insert(cache, i % 10 == 9 && i > kBack ? i - kBack : i, random);
    if (worker != 0 || i % kLook != 0) continue;
    seen.last = observe::resident_bytes() - std::min(before, observe::resident_bytes());
    seen.most = std::max(seen.most, seen.last);
  }
}

void measure(std::uint64_t inserts) {
  observe::set_up_allocator();
  MemoryOptions options;
  options.size = kSize;
  options.seed = 1;
  {  // What a process takes once, whatever its cache may take.
    MemoryCache warm(options);
    Random random(0);
    for (std::uint64_t i = 0; i < 1000; ++i) insert(warm, i, random);
  }
  malloc_trim(0);
  const std::uint64_t before = observe::resident_bytes();
  MemoryCache cache(options);
  Seen seen;
  std::array<std::thread, kWorkers> threads;
  for (unsigned worker = 0; worker < kWorkers; ++worker) {
    threads[worker] = std::thread([&, worker] { work(cache, worker, inserts, before, seen); });
  }
  std::atomic<bool> done = false;
  std::thread house([&] {
    for (int tenths = 0; !done; ++tenths) {
      if (tenths % kTrimEach == 0) observe::trim_memory();
      std::this_thread::sleep_for(100ms);
    }
  });
  for (std::thread& thread : threads) thread.join();
  done = true;
  house.join();
  const MemoryStats stats = cache.stats();
  const auto info = mallinfo2();
  std::printf(
      "{\"inserts\": %llu, \"size\": %llu, \"charged\": %llu, \"most\": %llu, "
      "\"last\": %llu, \"entries\": %llu, \"in_use\": %llu, \"idle\": %llu}\n",
      static_cast<unsigned long long>(inserts), static_cast<unsigned long long>(kSize),
      static_cast<unsigned long long>(stats.bytes), static_cast<unsigned long long>(seen.most),
      static_cast<unsigned long long>(seen.last), static_cast<unsigned long long>(stats.entries),
      static_cast<unsigned long long>(info.uordblks + info.hblkhd),
      static_cast<unsigned long long>(info.fordblks));
}

}  // namespace
}  // namespace penstock::cache

int main(int argc, char** argv) {
  std::uint64_t inserts = 10'000'000;
  if (argc == 3 && std::string_view(argv[1]) == "--inserts") {
    const std::string_view given(argv[2]);
    std::from_chars(given.begin(), given.end(), inserts);
  } else if (argc != 1) {
    std::fputs("usage: cache_bound [--inserts N]\n", stderr);
    return 2;
  }
  penstock::cache::measure(inserts);
}
