// What a command costs: the parser alone, and GETs in a pipeline against a server.
//
//   redis-server --save '' --port 7000 &
//   REDIS_URL=redis://127.0.0.1:7000 build/bench/src/redis_bench
#include <benchmark/benchmark.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "redis/client.h"
#include "redis/parser.h"

namespace penstock::redis {
namespace {

void parse(benchmark::State& state, std::string_view one, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += one;
  for (auto _ : state) {
    Parser parser;
    std::string_view rest = all;
    while (!rest.empty()) {
      const Parser::Step step = parser.next(rest);
      rest.remove_prefix(step.consumed);
      if (step.state == Parser::State::value) {
        Value value = parser.take();
        benchmark::DoNotOptimize(value);
      }
    }
  }
  state.SetItemsProcessed(state.iterations() * count);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(all.size()));
}

void parse_texts(benchmark::State& state) {
  const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
  parse(state, "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n", 100);
}
BENCHMARK(parse_texts)->Arg(10)->Arg(1000)->Arg(100'000);

void parse_leases(benchmark::State& state) {
  parse(state, "*4\r\n:100\r\n:899\r\n:0\r\n:100000\r\n", 100);
}
BENCHMARK(parse_leases);

// `range(0)` who ask one after the other, on one connection.
void gets(benchmark::State& state) {
  const char* const url = std::getenv("REDIS_URL");
  if (url == nullptr) return state.SkipWithError("REDIS_URL says which server");
  std::FILE* const null = std::fopen("/dev/null", "w");
  {
    observe::Log log({observe::Level::error, observe::LogFormat::json, null});
    Loop loop;
    Options options;
    options.urls = {url};
    options.connections = 1;
    options.timeout = 5s;
    Result<std::unique_ptr<Client>> client = Client::make(loop, options, Metrics(), log);
    std::int64_t left = 0;
    std::int64_t under_way = 0;
    bool failed = !client;
    const auto ask = [&]() -> Task<void> {
      const std::array<std::string_view, 2> words = {"GET", "bench"};
      while (left-- > 0 && !failed) {
        Deadline deadline(loop, Clock::now() + 10s);
        Result<Value> value = co_await (*client)->call(words, deadline);
        failed = failed || !value;
      }
      if (--under_way == 0) loop.stop();
    };
    constexpr std::int64_t kEach = 20'000;
    std::int64_t done = 0;
    for (auto _ : state) {
      left = kEach;
      under_way = state.range(0);
      loop.io().restart();
      for (std::int64_t i = 0; i < state.range(0); ++i) loop.spawn(ask());
      loop.run();
      done += kEach;
    }
    if (failed) state.SkipWithError("a command failed");
    state.SetItemsProcessed(done);
    client = Error{};
  }
  std::fclose(null);
}
BENCHMARK(gets)->Arg(1)->Arg(10)->Arg(100)->Arg(1000)->UseRealTime();

}  // namespace
}  // namespace penstock::redis
