// What a request pays for its metrics, and a scrape for its 5,000 series.

#include "observe/metrics.h"

#include <benchmark/benchmark.h>

namespace penstock::observe {
namespace {

void BM_CounterAdd(benchmark::State& state) {
  Registry registry(1);
  Counter counter = registry.shard(0).counter("penstock_x_total", "X.", {{"kind", "a"}});
  for (auto _ : state) counter.add();
  benchmark::DoNotOptimize(registry.sum("penstock_x_total"));
}
BENCHMARK(BM_CounterAdd);

// Argument: whether histograms are on.
void BM_HistogramObserve(benchmark::State& state) {
  Registry registry(1);
  registry.set_observing(state.range(0) != 0);
  Histogram histogram = registry.shard(0).histogram("penstock_x_seconds", "X.", kDuration, {});
  double value = .00001;
  for (auto _ : state) {
    histogram.observe(value);
    benchmark::DoNotOptimize(value);
  }
}
BENCHMARK(BM_HistogramObserve)->Arg(0)->Arg(1);

// Argument: whether the request's trace is kept.
void BM_HistogramObserveWith(benchmark::State& state) {
  Registry registry(1);
  TracedHistogram histogram =
      registry.shard(0).traced_histogram("penstock_x_seconds", "X.", kDuration, {});
  const TraceId trace = {0, static_cast<std::uint64_t>(state.range(0))};
  double value = .00001;
  for (auto _ : state) {
    histogram.observe_with(value, trace);
    benchmark::DoNotOptimize(value);
  }
}
BENCHMARK(BM_HistogramObserveWith)->Arg(0)->Arg(1);

// As of many engines and models: histograms most of all. Argument: series, as lines of the answer.
void BM_Render(benchmark::State& state) {
  constexpr std::size_t kShards = 5;
  Registry registry(kShards, 1000);
  const auto lines = static_cast<std::size_t>(state.range(0));
  std::size_t made = 2;
  for (int i = 0; made < lines; ++i) {
    const Labels labels = {{"engine", "engine-" + std::to_string(i)}, {"model", "a-model"}};
    for (std::size_t shard = 0; shard < kShards; ++shard) {
      TracedHistogram h =
          registry.shard(shard).traced_histogram("penstock_x_seconds", "X.", kDuration, labels);
      for (int n = 0; n < 1000; ++n) h.observe_with(.0001 * n * n, {1, 2});
      for (const char* outcome : {"success", "timeout", "server_error", "cancelled"}) {
        Labels more = labels;
        more.emplace_back("outcome", outcome);
        registry.shard(shard).counter("penstock_x_total", "X.", more).add(123456);
      }
    }
    made += kDuration.size() + 3 + 4;
  }
  const auto format = static_cast<Format>(state.range(1));
  std::string out;
  for (auto _ : state) {
    out.clear();
    registry.render(out, format);
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["series"] = static_cast<double>(made);
  state.counters["bytes"] = static_cast<double>(out.size());
}
BENCHMARK(BM_Render)
    ->Args({5000, static_cast<int>(Format::text)})
    ->Args({5000, static_cast<int>(Format::openmetrics)})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace penstock::observe
