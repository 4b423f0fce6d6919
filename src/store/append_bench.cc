// How many usage rows a second go into the database.
//
//   python3 -m harness.postgres $PWD/../build/bench/src/store_bench     (in tests/)
//
// Against the PostgreSQL of $PENSTOCK_DATABASE over as many connections as the argument says, and
// into a file of SQLite. Rows are 40 to a millisecond, and each batch is of its own.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>

#include "store/database.h"

namespace penstock::store {
namespace {

constexpr std::int64_t kNow = 1'790'000'000'000'000;
constexpr std::size_t kBatch = 5'000;

std::vector<UsageRow> rows_of(std::uint64_t batch) {
  Random random(batch);
  std::vector<UsageRow> rows(kBatch);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    UsageRow& row = rows[i];
    const std::uint64_t number = batch * kBatch + i;
    row.time_us = kNow + static_cast<std::int64_t>(number) * 25;
    row.id = make_uuid7(static_cast<std::uint64_t>(row.time_us / 1000), random);
    row.tenant = "tenant-" + std::to_string(number % 50);
    row.key = "key_0123456789" + std::to_string(100'000 + number % 2'000);
    row.model = "model-" + std::to_string(number % 5);
    row.engine = "engine-" + std::to_string(number % 3);
    row.route = "chat";
    row.status = 200;
    row.cache = "miss";
    row.tokens = Usage{350, 120, 0, 0};
    row.cost = 250'000;
    row.duration_us = 812'345;
    row.engine_us = 810'000;
    row.first_token_us = 120'000;
    row.request_id = std::string(text(make_uuid7(number, random)));
    row.trace_id = "0123456789abcdef0123456789abcdef";
  }
  return rows;
}

struct Bench {
  Bench(std::string url, std::uint32_t connections)
      : registry(1), log(observe::LogOptions{observe::Level::error}) {
    Options options;
    options.url = std::move(url);
    options.pool_max = connections;
    options.acquire_timeout = 30s;
    Result<std::unique_ptr<Database>> made = open(options, registry, log);
    if (!made) return;
    database = *std::move(made);
    Result<int> migrated = wait(30s, [&](Deadline& d) { return migrate(*database, d); });
    if (!migrated) database.reset();
    // A new node has one connection until it has seen the others.
    while (database && database->dialect() == Dialect::postgres &&
           registry.sum("penstock_db_pool_connections_max") < connections) {
      std::this_thread::sleep_for(10ms);
    }
  }
  observe::Registry registry;
  observe::Log log;
  std::unique_ptr<Database> database;
};

// Each round gives every thread one batch.
void append(benchmark::State& state, Bench& bench, unsigned threads) {
  if (!bench.database) {
    state.SkipWithError("no database");
    return;
  }
  Random random;
  std::uint64_t batch = (random.next() >> 40U) * 1'000;
  std::atomic<bool> failed{false};
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<std::vector<UsageRow>> given;
    for (unsigned i = 0; i < threads * 4; ++i) given.push_back(rows_of(++batch));
    state.ResumeTiming();
    std::vector<std::thread> running;
    for (unsigned i = 0; i < threads; ++i) {
      running.emplace_back([&, i] {
        for (std::size_t j = i; j < given.size(); j += threads) {
          Result<void> done = wait(60s, [&](Deadline& d) {
            return bench.database->append_usage(std::move(given[j]), d);
          });
          if (!done) failed = true;
        }
      });
    }
    for (std::thread& thread : running) thread.join();
  }
  if (failed) state.SkipWithError("a batch failed");
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(threads * 4 * kBatch));
}

void append_postgres(benchmark::State& state) {
  const char* const url = std::getenv("PENSTOCK_DATABASE");
  if (url == nullptr) {
    state.SkipWithError("PENSTOCK_DATABASE is not set");
    return;
  }
  const auto connections = static_cast<unsigned>(state.range(0));
  Bench bench(url, connections);
  append(state, bench, connections);
}
BENCHMARK(append_postgres)->Arg(1)->Arg(2)->Arg(4)->UseRealTime()->Unit(benchmark::kMillisecond);

void append_sqlite(benchmark::State& state) {
  std::string folder = std::filesystem::temp_directory_path() / "penstock-bench-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return;
  {
    Bench bench("sqlite:" + folder + "/a.db", 1);
    append(state, bench, 1);
  }
  std::filesystem::remove_all(folder);
}
BENCHMARK(append_sqlite)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace penstock::store
