// What a search of the semantic index costs, and what it costs to put a vector in: 384 dimensions,
// as small embedding models have them, in clusters. Up to 1,000 vectors of a place are looked at
// one by one.
#include <benchmark/benchmark.h>

#include <map>

#include "cache/semantic_testing.h"

namespace penstock::cache {
namespace {

constexpr std::size_t kDimensions = 384;
constexpr std::size_t kAsked = 1024;

struct Filled {
  explicit Filled(std::size_t count) : index({.size = count}) {
    SemanticVectors vectors(kDimensions, 1 + count / 50, 1);
    for (std::size_t i = 0; i < count; ++i) {
      const std::vector<float> vector = vectors.next();
      index.add("t", "p", semantic_key(i), vector);
      if (i % (1 + count / kAsked) == 0) asked.push_back(vectors.around(vector, 0.2F));
    }
    index.settle();
  }
  SemanticIndex index;
  std::vector<std::vector<float>> asked;
};

// Made once: 100,000 take a while.
Filled& filled(std::size_t count) {
  static std::map<std::size_t, std::unique_ptr<Filled>> all;
  auto& one = all[count];
  if (!one) one = std::make_unique<Filled>(count);
  return *one;
}

void Find(benchmark::State& state) {
  Filled& with = filled(static_cast<std::size_t>(state.range(0)));
  std::size_t i = 0;
  std::size_t found = 0;
  for (auto _ : state) {
    found += with.index.find("t", "p", with.asked[i++ % with.asked.size()], 0.95F) ? 1U : 0U;
  }
  state.counters["found"] =
      benchmark::Counter(static_cast<double>(found), benchmark::Counter::kAvgIterations);
}
BENCHMARK(Find)->Arg(1'000)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

// All of the graph's making, in the background.
void Make(benchmark::State& state) {
  for (auto _ : state) Filled(static_cast<std::size_t>(state.range(0)));
}
BENCHMARK(Make)->Arg(10'000)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace penstock::cache
