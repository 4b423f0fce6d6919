// What a score costs, by the size of the question.
#include <benchmark/benchmark.h>

#include <string>

#include "complexity/complexity.h"

namespace penstock::complexity {
namespace {

constexpr std::string_view kProse =
    "We want to move the orders of our shop into a service of its own, without losing one and "
    "without a night of downtime; at most two people can work on it, and the old system must go on "
    "until each of the three warehouses has changed over.\\n";

std::string prose(std::size_t size) {
  std::string text;
  while (text.size() + kProse.size() <= size) text += kProse;
  return text + "How?";
}

void score(benchmark::State& state, std::size_t size, std::size_t turns) {
  std::string body =
      R"({"model":"m","messages":[{"role":"system","content":"You are a helpful assistant."})";
  for (std::size_t i = 0; i < turns; ++i) {
    const std::string_view role = i % 2 == 0 ? "user" : "assistant";
    body +=
        R"(,{"role":")" + std::string(role) + R"(","content":")" + prose(size / turns) + R"("})";
  }
  body += "]}";
  body.reserve(body.size() + 64);
  Analyser analyser;
  for (auto _ : state) benchmark::DoNotOptimize(analyser.judge(Endpoint::chat, body));
  state.counters["bytes"] = static_cast<double>(body.size());
}

BENCHMARK_CAPTURE(score, of_100_bytes, 20, 1);
BENCHMARK_CAPTURE(score, of_1_KiB, 900, 1);
BENCHMARK_CAPTURE(score, of_4_KiB, 4000, 1);
BENCHMARK_CAPTURE(score, of_4_KiB_in_5_turns, 4000, 5);
BENCHMARK_CAPTURE(score, of_64_KiB_in_21_turns, 65536, 21);
BENCHMARK_CAPTURE(score, of_1_MiB, 1 << 20, 1);

}  // namespace
}  // namespace penstock::complexity
