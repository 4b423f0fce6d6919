// What recording costs a worker: a row, a hit in its sum, and a hit that opens one.
//
// The ledger's thread runs beside it as it does in the gateway (a sync each 100 ms), into an SQLite
// database of its own.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <filesystem>

#include "store/ledger.h"

namespace penstock::store {
namespace {

class Recording : public benchmark::Fixture {
 public:
  void SetUp(benchmark::State& state) override {
    if (state.thread_index() != 0) return;
    std::string folder = std::filesystem::current_path() / "penstock-bench-XXXXXX";
    folder_ = mkdtemp(folder.data());
    Options store;
    store.url = "sqlite:" + folder_ + "/usage.db";
    database_ = std::move(*open(store, registry_, log_));
    if (!wait(10s, [&](Deadline& d) { return migrate(*database_, d); })) std::abort();
    LedgerOptions options;
    options.folder = folder_ + "/spool";
    options.workers = 2;
    options.queue = 1'000'000'000;
    options.queue_bytes = std::uint64_t{8} << 30;
    options.rows_bytes = static_cast<std::size_t>(state.range(0)) * 1024;
    options.sums_bytes = options.rows_bytes;
    options.flush = std::chrono::milliseconds(state.range(1));
    ledger_ = std::make_unique<Ledger>(options, *database_, registry_, log_);
    if (!ledger_->start()) std::abort();
    served_ = ledger_->served("gpt-4o-mini", "gpu-a", "chat");
    row_.time_us = 1'796'000'000'000'000;
    row_.tenant = "acme";
    row_.key = "key_0123456789abcdef";
    row_.model = "gpt-4o-mini";
    row_.engine = "gpu-a";
    row_.route = "chat";
    row_.status = 200;
    row_.cache = "miss";
    row_.request_id = "019ab3c4-7d10-7b62-9f3e-0a1b2c3d4e5f";
    callers_.clear();
    for (int i = 0; i < 1000; ++i) {
      Caller caller;
      caller.tenant = "acme";
      caller.key = "key_" + std::to_string(i);
      callers_.push_back(std::make_shared<Caller>(caller));
    }
  }
  void TearDown(benchmark::State& state) override {
    if (state.thread_index() != 0) return;
    ledger_.reset();
    database_.reset();
    std::filesystem::remove_all(folder_);
  }

 protected:
  std::string folder_;
  observe::Registry registry_{1};
  observe::Log log_{{}};
  std::unique_ptr<Database> database_;
  std::unique_ptr<Ledger> ledger_;
  const Served* served_ = nullptr;
  UsageRow row_;
  std::vector<CallerPtr> callers_;
};

// The argument: KiB of a file. 65536: all of it is there beforehand, as it is where a worker takes
// the segments that the ledger's thread has made or is done with. 2048, at this speed: a new file
// is made every few milliseconds, on the worker's own time.
BENCHMARK_DEFINE_F(Recording, row)(benchmark::State& state) {
  const auto number = static_cast<unsigned>(state.thread_index());
  for (auto _ : state) ledger_->book(number).add(row_);
}
BENCHMARK_REGISTER_F(Recording, row)
    ->Args({65536, 3'600'000})
    ->Args({2048, 3'600'000})
    ->Iterations(150'000)
    ->Threads(1)
    ->Threads(2);

// Hits of so many keys, in turn; each in its sum of the second.
BENCHMARK_DEFINE_F(Recording, hit)(benchmark::State& state) {
  const auto number = static_cast<unsigned>(state.thread_index());
  const auto keys = static_cast<std::size_t>(state.range(2));
  const auto begun = std::chrono::system_clock::now();
  const Usage saved{812, 96, 0, 0};
  std::size_t next = 0;
  std::uint64_t count = 0;
  for (auto _ : state) {
    // As time would go on: reading the clock is the gateway's, once a request.
    const auto now = begun + std::chrono::nanoseconds(50 * count++);
    ledger_->book(number).hit({callers_[next], served_}, saved, 27'000, 21us, now);
    if (++next == keys) next = 0;
  }
}
BENCHMARK_REGISTER_F(Recording, hit)
    ->Args({2048, 200, 1})
    ->Args({2048, 200, 100})
    ->Args({2048, 200, 1000})
    ->Threads(1)
    ->Threads(2);

// A hit that is the first of its second: what opening a sum costs.
BENCHMARK_DEFINE_F(Recording, first_hit)(benchmark::State& state) {
  auto now = std::chrono::system_clock::now();
  for (auto _ : state) ledger_->book(0).hit({callers_[0], served_}, {}, 0, 21us, now += 1s);
}
BENCHMARK_REGISTER_F(Recording, first_hit)->Args({65536, 3'600'000})->Iterations(100'000);

}  // namespace
}  // namespace penstock::store
