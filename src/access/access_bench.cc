// What a request with a known key pays for being told apart.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "access/access.h"

namespace penstock::access {
namespace {

const WallTime kNow{std::chrono::seconds(1'800'000'000)};

void digest_of_a_key(benchmark::State& state) {
  static const Hasher hasher("secret");
  const std::string key = *make_key();
  for (auto _ : state) benchmark::DoNotOptimize(hasher.digest(key));
}
BENCHMARK(digest_of_a_key)->ThreadRange(1, 2);

void check_of_a_key(benchmark::State& state) {
  const std::string key = *make_key();
  for (auto _ : state) benchmark::DoNotOptimize(well_formed(key));
}
BENCHMARK(check_of_a_key);

// A book that knows so many keys.
struct Known {
  explicit Known(std::size_t count) {
    std::string name = std::filesystem::temp_directory_path() / "penstock-bench-XXXXXX";
    folder = mkdtemp(name.data());
    store::Options options;
    options.url = "sqlite:" + folder + "/a.db";
    database = *store::open(options, registry, log);
    const auto ask = [](const auto& what) { return store::wait(30s, what); };
    (void)ask([&](Deadline& d) { return store::migrate(*database, d); });
    Office office(*database, "secret", [](std::string_view) { return true; });
    book = std::make_unique<KeyBook>(
        [] {
          KeyBookOptions made;
          made.secret = "secret";
          return made;
        }(),
        *database, registry, log);
    book->start();
    KeyChange fields;
    fields.name = "key";
    for (std::size_t i = 0; i < count; ++i) {
      const auto key = ask([&](Deadline& d) {
        return office.create_key("t", fields, Actor{"bench", ""}, kNow, d);
      });
      keys.push_back(key->secret);
      (void)ask([&](Deadline& d) { return book->find(keys.back(), kNow, d); });
    }
  }
  ~Known() {
    book.reset();
    database.reset();
    std::filesystem::remove_all(folder);
  }
  std::string folder;
  observe::Registry registry{1};
  observe::Log log{{}};
  std::unique_ptr<store::Database> database;
  std::unique_ptr<KeyBook> book;
  std::vector<std::string> keys;
};

void a_known_key(benchmark::State& state) {
  static const Known known(2000);
  std::size_t at = static_cast<std::size_t>(state.thread_index()) * 7919;
  for (auto _ : state) {
    const CallerPtr caller = known.book->known(known.keys[at++ % known.keys.size()], kNow);
    if (caller == nullptr) return state.SkipWithError("a key is not known");
    benchmark::DoNotOptimize(caller);
  }
}
BENCHMARK(a_known_key)->ThreadRange(1, 2);

// All workers with one key: one shard, one count of references.
void the_same_known_key(benchmark::State& state) {
  static const Known known(1);
  for (auto _ : state) benchmark::DoNotOptimize(known.book->known(known.keys[0], kNow));
}
BENCHMARK(the_same_known_key)->ThreadRange(1, 2);

}  // namespace
}  // namespace penstock::access
