// How many answers one core reads from Redis, where many are asked for at a time.
//
// So many coroutines of one loop ask for 10,000 answers of 1 KiB, each in its turn, through the
// cache's Redis level as the gateway does: pipelined over two tracked connections, the checksum
// looked at, the value decoded. Everything of it is in one thread; the server has a core of its
// own.
//
//   cache_redis PORT WAITING SECONDS     a line of JSON
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cache/redis_level.h"
#include "cache_load.h"

namespace penstock::cache {
namespace {

constexpr std::uint32_t kKeys = 10'000;
constexpr std::size_t kBody = 900;  // with what is said of it 1 KiB

Value value_of_number(std::uint32_t number) {
  Value value;
  value.model = "some-model-of-today";
  value.engine = "engine";
  value.stored_ms = 1'700'000'000'000;
  value.expires_ms = value.stored_ms + 3'600'000;
  Random random(number);
  while (value.body.size() < kBody) value.body += std::to_string(random.next()) + ' ';
  value.body.resize(kBody);
  return value;
}

double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class Bench {
 public:
  Bench(redis::Client& client, Loop& loop, unsigned waiting, Duration lasts)
      : loop_(loop), level_(loop, client), waiting_(waiting), lasts_(lasts) {
    for (std::uint32_t i = 0; i < kKeys; ++i) keys_.push_back(key_of(i));
  }

  // False: Redis failed, or an answer was not there.
  bool run() {
    loop_.spawn(fill());
    loop_.run();
    if (failed_) return false;
    const double wall = seconds_of(CLOCK_MONOTONIC);
    const double cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    until_ = Clock::now() + lasts_;
    under_way_ = waiting_;
    loop_.io().restart();
    for (unsigned i = 0; i < waiting_; ++i) loop_.spawn(ask());
    loop_.run();
    if (failed_) return false;
    std::printf(
        "{\"waiting\": %u, \"hits\": %llu, \"seconds\": %.3f, \"cpu_seconds\": %.3f, \"bytes\": "
        "%zu}\n",
        waiting_, static_cast<unsigned long long>(hits_), seconds_of(CLOCK_MONOTONIC) - wall,
        seconds_of(CLOCK_THREAD_CPUTIME_ID) - cpu, bytes_);
    return true;
  }

 private:
  Task<void> fill() {
    for (std::uint32_t i = 0; i < kKeys && !failed_; ++i) {
      std::string value = encode(value_of_number(i), kBody * 2);
      bytes_ = value.size();
      Deadline deadline(loop_, Clock::now() + 10s);
      Result<redis::Vouch> put = co_await level_.put(keys_[i], std::move(value), 1h, deadline);
      failed_ = !put;
    }
    loop_.stop();
  }

  Task<void> ask() {
    while (!failed_) {
      const Time now = Clock::now();
      if (now >= until_) break;
      Deadline deadline(loop_, now + 10s);
      Result<RedisLevel::Found> found =
          co_await level_.get(keys_[next_++ % kKeys], std::size_t{4} << 20, deadline);
      failed_ = failed_ || !found || !found->value || found->value->body.size() != kBody;
      ++hits_;
    }
    if (--under_way_ == 0) loop_.stop();
  }

  Loop& loop_;
  RedisLevel level_;
  const unsigned waiting_;
  const Duration lasts_;
  std::vector<Key> keys_;
  std::size_t next_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t hits_ = 0;
  unsigned under_way_ = 0;
  Time until_{};
  bool failed_ = false;
};

bool measure(const std::string& port, unsigned waiting, Duration lasts) {
  observe::Log log({observe::Level::error, observe::LogFormat::json, stderr});
  Loop loop;
  redis::Options options;
  options.urls = {"redis://127.0.0.1:" + port};
  options.timeout = 10s;
  options.tracking = true;
  options.vouchers = std::make_shared<redis::Vouchers>();
  auto client = redis::Client::make(loop, options, redis::Metrics(), log);
  if (!client) return false;
  return Bench(**client, loop, waiting, lasts).run();
}

}  // namespace
}  // namespace penstock::cache

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: cache_redis PORT WAITING SECONDS\n", stderr);
    return 2;
  }
  const auto waiting = static_cast<unsigned>(std::atoi(argv[2]));
  const bool good = penstock::cache::measure(argv[1], waiting,
                                             std::chrono::seconds(std::max(1, std::atoi(argv[3]))));
  if (!good) std::fputs("cache_redis: Redis failed, or an answer was not there\n", stderr);
  return good ? 0 : 1;
}
