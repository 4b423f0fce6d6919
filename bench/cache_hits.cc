// How often the memory cache has what it is asked for, beside the best that anyone could do.
//
// The cache of the gateway itself is asked, and given what it did not have, as a request does it.
// All answers have one size, so that Belady's MIN is exact: knowing the future, it lets go of what
// is asked for last, or does not keep it at all, and no policy has more hits. The cache may take
// the bytes that so many entries need under LRU; what S3-FIFO remembers beside entries comes out of
// the same bytes.
//
//   cache_hits [--requests N]     a line of JSON for each load and size
#include <fmt/core.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <limits>
#include <queue>
#include <string_view>

#include "cache/memory.h"
#include "cache_load.h"

namespace penstock::cache {
namespace {

constexpr std::uint32_t kKeys = 100'000;
constexpr std::size_t kAnswer = 1500;
const Time kNow{1000s};

// Steady: by Zipf, from the first to the last. Scans: after each 4,000 of these come 1,000 requests
// for keys that never come again. Moving: a new key takes the first rank each 25 requests, and all
// others go down by one, as news do. Twice: each key comes again once, when a quarter as many
// others as the cache holds came in between: what S3-FIFO is worst at.
enum class Kind { steady, scans, moving, twice };
constexpr std::uint32_t kBetweenScans = 4'000;
constexpr std::uint32_t kScan = 1'000;
constexpr std::uint32_t kMoves = 25;
constexpr std::uint32_t kNever = std::numeric_limits<std::uint32_t>::max();

const char* name(Kind kind) {
  switch (kind) {
    case Kind::steady: return "steady";
    case Kind::scans: return "scans";
    case Kind::moving: return "moving";
    case Kind::twice: break;
  }
  return "twice";
}

struct Load {
  std::vector<std::uint32_t> asked;
  std::vector<std::uint32_t> next;  // when the same key is asked for again
  std::size_t counted_from = 0;     // the fourth before it fills the cache
};

// From who is asked for to when each is asked for again. All keys are below `keys`.
Load complete(std::vector<std::uint32_t> asked, std::uint32_t keys) {
  Load load;
  load.asked = std::move(asked);
  load.next.resize(load.asked.size());
  std::vector<std::uint32_t> seen(keys, kNever);
  for (auto i = static_cast<std::uint32_t>(load.asked.size()); i-- > 0;) {
    load.next[i] = seen[load.asked[i]];
    seen[load.asked[i]] = i;
  }
  load.counted_from = load.asked.size() / 4;
  return load;
}

Load make_load(double exponent, Kind kind, std::uint32_t requests) {
  const Zipf zipf(kKeys, exponent);
  Random random(1);
  std::vector<std::uint32_t> asked;
  asked.reserve(requests);
  std::uint32_t fresh = kKeys;  // all keys so far are below
  for (std::uint32_t i = 0; i < requests; ++i) {
    if (kind == Kind::moving && i % kMoves == 0) ++fresh;
    if (kind == Kind::scans && i % (kBetweenScans + kScan) >= kBetweenScans) {
      asked.push_back(fresh++);
    } else {
      const std::uint32_t rank = zipf.next(random);
      asked.push_back(kind == Kind::moving ? fresh - 1 - rank : rank);
    }
  }
  return complete(std::move(asked), fresh);
}

Load make_twice(std::uint32_t apart, std::uint32_t requests) {
  std::vector<std::uint32_t> asked;
  asked.reserve(requests);
  // Before it keys that are asked for three times in a row: S3-FIFO's main queue is full.
  const std::uint32_t before = requests / 8;
  for (std::uint32_t i = 0; i < before; ++i) asked.push_back(i / 3);
  for (std::uint32_t i = before; asked.size() < requests; ++i) {
    asked.push_back(i);
    asked.push_back(i >= before + apart ? i - apart : i);
  }
  return complete(std::move(asked), requests);
}

double share(std::uint64_t hits, const Load& load) {
  return static_cast<double>(hits) / static_cast<double>(load.asked.size() - load.counted_from);
}

double optimum(const Load& load, std::size_t entries) {
  // By when each is asked for again, the last first. A hit leaves its former time behind, which is
  // sooner than all that count: it is never at the top before it is passed.
  std::priority_queue<std::uint32_t> latest;
  std::vector<bool> kept(load.asked.size());  // by the time of the next request
  std::size_t size = 0;
  std::uint64_t hits = 0;
  for (std::uint32_t i = 0; i < load.asked.size(); ++i) {
    if (kept[i]) {
      --size;
      if (i >= load.counted_from) ++hits;
    }
    if (load.next[i] == kNever) continue;
    kept[load.next[i]] = true;
    latest.push(load.next[i]);
    if (++size <= entries) continue;
    kept[latest.top()] = false;
    latest.pop();
    --size;
  }
  return share(hits, load);
}

EntryPtr entry(std::uint32_t number) {
  static const std::string answer(kAnswer, 'a');
  auto made = std::make_shared<Entry>();
  made->key = key_of(number);
  made->expires = made->early = made->kept = kNow + 1h;
  made->plain = Prepared("content-type: application/json\r\n", answer);
  return made;
}

MemoryOptions options(std::uint64_t size, settings::CachePolicy policy) {
  MemoryOptions made;
  made.size = size;
  made.policy = policy;
  made.max_entry = size / 64;  // so many shards as one of the default size has
  made.seed = 1;
  return made;
}

std::uint64_t bytes_of(std::uint32_t entries) {
  MemoryCache cache(options(1ull << 40, settings::CachePolicy::lru));
  for (std::uint32_t i = 0; i < entries; ++i) cache.store(entry(i));
  return cache.stats().bytes;
}

struct Outcome {
  double hits;
  std::uint64_t entries;
};

Outcome drive(const Load& load, std::uint64_t size, settings::CachePolicy policy) {
  MemoryCache cache(options(size, policy));
  std::uint64_t hits = 0;
  for (std::size_t i = 0; i < load.asked.size(); ++i) {
    if (cache.find(key_of(load.asked[i]), "", kNow)) {
      if (i >= load.counted_from) ++hits;
    } else {
      cache.store(entry(load.asked[i]));
    }
  }
  return {share(hits, load), cache.stats().entries};
}

// `exponent`: 0 where it is not by Zipf.
void measure(const Load& load, double exponent, Kind kind, std::uint32_t percent) {
  using settings::CachePolicy;
  const std::uint32_t entries = kKeys / 100 * percent;
  const std::uint64_t size = bytes_of(entries);
  std::string line = fmt::format("{{\"zipf\": {}, \"load\": \"{}\", \"percent\": {}, \"bytes\": {}",
                                 exponent, name(kind), percent, size);
  line += fmt::format(", \"optimum\": {:.5f}", optimum(load, entries));
  for (const CachePolicy policy : {CachePolicy::s3fifo, CachePolicy::lru}) {
    const Outcome outcome = drive(load, size, policy);
    const char* const what = policy == CachePolicy::lru ? "lru" : "s3fifo";
    line += fmt::format(", \"{0}\": {1:.5f}, \"{0}_entries\": {2}", what, outcome.hits,
                        outcome.entries);
  }
  fmt::print("{}}}\n", line);
  std::fflush(stdout);
}

}  // namespace
}  // namespace penstock::cache

int main(int argc, char** argv) {
  std::uint32_t requests = 2'000'000;
  if (argc == 3 && std::string_view(argv[1]) == "--requests") {
    const std::string_view given(argv[2]);
    std::from_chars(given.begin(), given.end(), requests);
  } else if (argc != 1) {
    std::fputs("usage: cache_hits [--requests N]\n", stderr);
    return 2;
  }
  using namespace penstock::cache;
  constexpr std::array<std::uint32_t, 3> kPercents = {1, 10, 30};
  for (const Kind kind : {Kind::steady, Kind::scans, Kind::moving}) {
    for (const double exponent : {0.7, 0.9, 1.1}) {
      if (kind == Kind::moving && exponent != 0.9) continue;
      const Load load = make_load(exponent, kind, requests);
      for (const std::uint32_t percent : kPercents) measure(load, exponent, kind, percent);
    }
  }
  for (const std::uint32_t percent : kPercents) {
    const std::uint32_t apart = kKeys / 100 * percent / 4;
    measure(make_twice(apart, requests), 0, Kind::twice, percent);
  }
}
