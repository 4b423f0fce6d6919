// Questions that are asked ahead of those who will ask them, so that nobody waits for the first
// answer.
//
//   a file, the most asked, the admin API ──add──> Warmer ──so many at a time, so many a second──>
//       Gateway::warm on one worker's loop ──Redis, a lease, an engine──> the cache
//
// Nothing that is kept makes room for what is warmed: where memory is full it goes to Redis alone,
// and without Redis the warming ends. It waits while memory is short for requests.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/signal.h"
#include "base/task.h"

namespace penstock::gateway {

class Gateway;
struct House;

struct WarmQuestion {
  std::string path;                                 // "/v1/chat/completions"
  std::string body;                                 // JSON
  std::string tenant;                               // empty: nobody is told apart, or all share
  std::optional<std::string> scope = std::nullopt;  // what it is kept by; else the tenant's
  std::vector<std::string> tags = {};
  int tries = 0;
};

// What stands in a line of a file: a request's body, a line of OpenAI's Batch API (`url`, `body`,
// and a `tenant` of ours), or a question in words, which is asked of `model` at temperature 0.
struct WarmDefaults {
  std::string model;
  std::string tenant;
};
// The Error says what is wrong, in words for who wrote it.
Result<WarmQuestion> read_warm_line(std::string_view line, const WarmDefaults& defaults);

enum class Warmed : std::uint8_t {
  kept,     // an engine was asked
  known,    // it was there, here or in Redis
  refused,  // it cannot be asked, or its answer cannot be kept
  failed,   // the engine failed
  no_room,
};
struct WarmResult {
  Warmed what = Warmed::failed;
  std::string why = {};
  bool retryable = false;
};

class Warmer {
 public:
  static constexpr std::size_t kMostBytes = 64 * 1024 * 1024;  // of questions that wait
  static constexpr double kMostRate = 1e6;

  struct Plan {
    std::string source;  // for who looks at it: "file questions.jsonl"
    unsigned concurrency = 4;
    double rate = 0;  // questions a second; 0: as fast as they are answered
  };
  struct State {
    std::string id;  // empty: there was none yet
    std::string source;
    bool running = false;
    bool full = false;     // it ended because memory is full
    bool stopped = false;  // it ended because somebody said so, or the gateway ends
    std::uint64_t total = 0, kept = 0, known = 0, refused = 0, failed = 0, left_out = 0;
    std::uint64_t done() const { return kept + known + refused + failed + left_out; }
    Duration took{};
    std::vector<std::string> reasons;  // why questions were refused or failed; the first ones
  };

  explicit Warmer(House& house) : house_(house) {}

  // The gateway that asks, and its loop. Until `detach`, on that loop.
  void attach(Loop& loop, Gateway& gateway);
  void detach();

  // ---- from any thread ----

  // The id of a new warming; nothing: another one is under way.
  std::optional<std::string> begin(const Plan& plan);
  enum class Added : std::uint8_t { added, gone, no_memory };
  // `unreadable`: why lines could not be read; they count as refused. `more`: others are to come,
  // within a minute. Nothing is added where not all can be.
  Added add(std::string_view id, std::vector<WarmQuestion> questions,
            std::vector<std::string> unreadable, bool more);
  void stop();
  State state() const;

 private:
  struct Job;
  using JobPtr = std::shared_ptr<Job>;

  Task<void> run(JobPtr job);
  Task<void> ask(JobPtr job, WarmQuestion question);
  void settle(Job& job, WarmQuestion question, WarmResult result);

  House& house_;
  mutable std::mutex mutex_;
  Loop* loop_ = nullptr;
  Gateway* gateway_ = nullptr;
  JobPtr job_;  // the last one
  std::uint64_t number_ = 0;
};

}  // namespace penstock::gateway
