// What a look-up costs: by meaning and by bytes, warm and by Zipf, one worker and two.
//
// 10,000 answers of 1.5 KiB to requests of 400 bytes. A request is written into a buffer of the
// thread's own, as a socket would have left it: warm, while what the cache keeps of it may not be.
#include <benchmark/benchmark.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/uuid.h"
#include "cache/memory.h"

namespace penstock::cache {
namespace {

constexpr std::uint32_t kEntries = 10000;
constexpr std::size_t kBody = 400;
constexpr std::size_t kAnswer = 1536;
constexpr std::size_t kAsked = 1 << 16;
const Time kNow{1000s};

Key key(std::uint64_t number) {
  Random random(number);
  Key made;
  for (std::size_t i = 0; i < made.size(); i += 8) {
    const std::uint64_t word = random.next();
    std::memcpy(made.data() + i, &word, 8);
  }
  return made;
}

// A request whose only difference from the others stands in its middle.
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

// Which of the entries is asked for, one after the other.
std::vector<std::uint32_t> asked(bool zipf, std::uint64_t seed) {
  std::vector<double> sums(kEntries);
  double sum = 0;
  for (std::uint32_t i = 0; i < kEntries; ++i) sums[i] = sum += std::pow(i + 1.0, -0.9);
  Random random(seed);
  std::vector<std::uint32_t> order(kAsked, 0);
  for (std::uint32_t& number : order) {
    if (!zipf) continue;
    const auto at = std::lower_bound(sums.begin(), sums.end(), random.unit() * sum);
    number = static_cast<std::uint32_t>(at - sums.begin());
  }
  return order;
}

// Arguments: policy (0 S3-FIFO, 1 LRU), order (0 always the same one, 1 by Zipf 0.9).
class Lookup : public benchmark::Fixture {
 public:
  void SetUp(benchmark::State& state) override {
    if (state.thread_index() != 0) return;
    MemoryOptions options;
    options.trust = trust();
    options.policy =
        state.range(0) == 0 ? settings::CachePolicy::s3fifo : settings::CachePolicy::lru;
    cache_ = std::make_unique<MemoryCache>(options);
    Request request;
    for (std::uint32_t i = 0; i < kEntries; ++i) {
      auto entry = std::make_shared<Entry>();
      entry->key = key(i);
      entry->expires = entry->early = entry->kept = kNow + 1h;
      entry->plain = Prepared(std::string(200, 'h'), std::string(kAnswer, 'a'));
      entry->vouched.set(vouch_);
      cache_->store(entry);
      cache_->remember_bytes("", 1, request.number(i), entry, Form::plain, {1, 0, 0});
    }
  }
  void TearDown(benchmark::State& state) override {
    if (state.thread_index() == 0) cache_.reset();
  }

 protected:
  virtual const Trust* trust() { return nullptr; }
  redis::Vouch vouch_ = 0;
  std::unique_ptr<MemoryCache> cache_;
};

// The same where it is asked of each hit whether it may be trusted: two connections to Redis vouch
// for it, and both are there.
class Trusted : public Lookup {
 protected:
  const Trust* trust() override {
    trust_ = std::make_unique<Trust>();
    trust_->purges(trust_->vouchers()->issue());
    vouch_ = trust_->vouchers()->issue();
    return trust_.get();
  }

 private:
  std::unique_ptr<Trust> trust_;
};

void find_bytes(benchmark::State& state, MemoryCache& cache) {
  const auto order = asked(state.range(1) == 1, static_cast<std::uint64_t>(state.thread_index()));
  Request request;
  std::size_t i = 0;
  std::int64_t hits = 0;
  for (auto _ : state) {
    const auto hit = cache.find_bytes("", 1, request.number(order[i++ % kAsked]), kNow);
    hits += hit ? 1 : 0;
  }
  if (hits != state.iterations()) state.SkipWithError("an answer is missing");
}
BENCHMARK_DEFINE_F(Lookup, FindBytes)(benchmark::State& state) { find_bytes(state, *cache_); }
BENCHMARK_DEFINE_F(Trusted, FindBytes)(benchmark::State& state) { find_bytes(state, *cache_); }

BENCHMARK_DEFINE_F(Lookup, Find)(benchmark::State& state) {
  const auto order = asked(state.range(1) == 1, static_cast<std::uint64_t>(state.thread_index()));
  std::vector<Key> keys;
  for (std::uint32_t i = 0; i < kEntries; ++i) keys.push_back(key(i));
  std::size_t i = 0;
  std::int64_t hits = 0;
  for (auto _ : state) {
    const EntryPtr hit = cache_->find(keys[order[i++ % kAsked]], "", kNow);
    hits += hit ? 1 : 0;
  }
  if (hits != state.iterations()) state.SkipWithError("an answer is missing");
}

// The same work without a cache: choosing a request and writing it.
BENCHMARK_DEFINE_F(Lookup, Nothing)(benchmark::State& state) {
  const auto order = asked(state.range(1) == 1, 0);
  Request request;
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(request.number(order[i++ % kAsked]));
}

BENCHMARK_REGISTER_F(Lookup, FindBytes)
    ->ArgNames({"lru", "zipf"})
    ->ArgsProduct({{0, 1}, {0, 1}})
    ->ThreadRange(1, 2)
    ->UseRealTime();
BENCHMARK_REGISTER_F(Trusted, FindBytes)
    ->ArgNames({"lru", "zipf"})
    ->ArgsProduct({{0}, {0, 1}})
    ->Threads(1)
    ->UseRealTime();
BENCHMARK_REGISTER_F(Lookup, Find)
    ->ArgNames({"lru", "zipf"})
    ->ArgsProduct({{0, 1}, {0, 1}})
    ->ThreadRange(1, 2)
    ->UseRealTime();
BENCHMARK_REGISTER_F(Lookup, Nothing)->ArgNames({"lru", "zipf"})->Args({0, 1});

// Storing small answers into a full cache: one goes for one that comes. One in four was let go
// before, and is a ghost under S3-FIFO.
void store(benchmark::State& state) {
  MemoryOptions options;
  options.size = static_cast<std::uint64_t>(state.range(1)) << 20;
  options.max_entry = options.size / 64;  // so many shards as there are with the default options
  options.policy = state.range(0) == 0 ? settings::CachePolicy::s3fifo : settings::CachePolicy::lru;
  MemoryCache cache(options);
  const std::string answer(200, 'a');
  std::uint64_t number = 0;
  std::uint64_t entries = 0;
  const auto store_next = [&] {
    auto entry = std::make_shared<Entry>();
    entry->key = key(number % 4 == 3 && number > entries ? number - entries : number);
    ++number;
    entry->expires = entry->early = entry->kept = kNow + 1h;
    entry->plain = Prepared("h", answer);
    cache.store(std::move(entry));
  };
  entries = std::numeric_limits<std::uint64_t>::max();  // none comes back yet
  while (cache.stats().evictions == 0) {
    for (int i = 0; i < 1000; ++i) store_next();
  }
  entries = cache.stats().entries;
  for (std::uint64_t i = 0; i < 3 * entries; ++i) store_next();
  for (auto _ : state) store_next();
}
BENCHMARK(store)->ArgNames({"lru", "MiB"})->ArgsProduct({{0, 1}, {16, 256}});

// What could name a request's bytes.
void name_xxh3_64(benchmark::State& state) {
  Request request;
  std::uint32_t i = 0;
  for (auto _ : state) {
    const std::string_view body = request.number(++i);
    benchmark::DoNotOptimize(XXH3_64bits_withSeed(body.data(), body.size(), 7));
  }
}
void name_xxh3_128(benchmark::State& state) {
  Request request;
  std::uint32_t i = 0;
  for (auto _ : state) {
    const std::string_view body = request.number(++i);
    benchmark::DoNotOptimize(XXH3_128bits_withSeed(body.data(), body.size(), 7));
  }
}
void name_murmur(benchmark::State& state) {  // libstdc++'s
  Request request;
  std::uint32_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(std::hash<std::string_view>()(request.number(++i)));
}
void name_sha256(benchmark::State& state) {
  Request request;
  KeyMaker keys;
  std::uint32_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(keys.make("", Endpoint::chat, "model", request.number(++i)));
  }
}
BENCHMARK(name_xxh3_64);
BENCHMARK(name_xxh3_128);
BENCHMARK(name_murmur);
BENCHMARK(name_sha256);

}  // namespace
}  // namespace penstock::cache
