// What is seen of one request: when each step began and ended, and what came of it. Plain time
// stamps and fixed fields, written on the request's way; what becomes of them is decided at its end
// (tracer.h).
//
//   POST /v1/chat/completions                the request itself: `Seen`
//     ├ penstock.cache.lookup                its steps: `Span`s, each below the one that it is part
//     of │   └ GET └ chat gpt-4o
//         └ POST
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "exchange/exchange.h"
#include "trace/context.h"

namespace penstock::trace {

// A name from outside, cut to what fits.
template <std::size_t kMost>
class Name {
 public:
  Name() = default;
  Name& operator=(std::string_view text) {
    size_ = static_cast<std::uint8_t>(std::min(text.size(), kMost));
    std::copy_n(text.begin(), size_, text_.begin());
    return *this;
  }
  std::string_view view() const { return {text_.data(), size_}; }
  bool empty() const { return size_ == 0; }

 private:
  static_assert(kMost < 256);
  std::uint8_t size_ = 0;
  std::array<char, kMost> text_;  // as far as size_
};

enum class Step : std::uint8_t {
  cache_lookup,   // in one level
  coalesce_wait,  // for the answer to another's call
  redis,          // one command or script
  database,       // one statement
  operation,      // what is asked of a model, over all attempts
  attempt,        // one request to an engine
};
inline constexpr std::size_t kSteps = 6;

enum class Status : std::uint8_t { unset, error };

inline constexpr std::uint8_t kRoot = 0xff;  // the request itself, as a step's parent

struct Span {
  Step step = Step::cache_lookup;
  std::uint8_t parent = kRoot;  // by its place
  Status status = Status::unset;
  SpanId id = 0;
  Time begin{};
  Time end{};    // Time(): it was given up
  Time first{};  // of an operation: the first bytes of the answer
  // Literals.
  std::string_view name;     // "GET", "SELECT api_keys", "memory"
  std::string_view result;   // "hit", "success"
  std::string_view error;    // what went wrong: error.type
  std::int32_t code = 0;     // the engine's status
  std::uint32_t number = 0;  // of the attempt, from 0
  Context link;              // what it waited for
};

// A request. What is a string_view is a literal: it outlives everything.
struct Seen {
  Context context;            // its own
  SpanId parent = 0;          // the caller's span; 0: there is none
  Context link;               // the caller's, where it is no parent
  std::int64_t begin_us = 0;  // since 1970
  Time begin{};
  Duration took{};
  Duration engine{};       // of it, waiting for engines
  Duration first_token{};  // of a stream, from the request on; zero: it was none
  std::string_view method;
  std::string_view route;   // "/v1/chat/completions"
  std::string_view cache;   // "hit", "miss", ...; empty: the cache had no part in it
  std::string_view level;   // of a hit: "memory"
  std::string_view error;   // a refusal's code
  std::string_view limit;   // "refused" or "admitted"; empty: nothing was limited
  std::int32_t status = 0;  // 499: the client left
  std::uint32_t attempts = 0;
  std::uint32_t max_tokens = 0;  // 0: the client does not say
  double complexity = -1;        // below 0: none
  bool stream = false;
  bool kept = false;  // it is exported
  std::uint64_t request_bytes = 0;
  std::uint64_t response_bytes = 0;
  Usage usage;  // of the call, or of the kept answer
  Name<128> request_id;
  Name<64> model;  // as configured
  Name<64> engine_name;
};

// What was asked and answered, where the operator wants it in his traces: bodies as they were, cut
// to what is taken of each. JSON, or the frames of a stream.
struct Texts {
  static constexpr std::size_t kMost =
      64 * 1024;  // bytes of each; of a longer one there is nothing
  Endpoint endpoint = Endpoint::other;
  std::string question;
  std::string answer;
  bool answer_cut = false;

  void ask(Endpoint of, std::string_view body) {
    endpoint = of;
    if (body.size() <= kMost) question = body;
  }
  void add_answer(std::string_view piece) {
    answer_cut = answer_cut || answer.size() + piece.size() > kMost;
    if (answer_cut) {
      answer.clear();
    } else {
      answer += piece;
    }
  }
};

struct Finished {
  Seen seen;
  std::vector<Span> spans;
  std::shared_ptr<const Texts> texts = nullptr;  // on its way to a backend only
};

// Rows of usage that went into the database together, or did not.
struct Flush {
  std::int64_t begin_us = 0;  // since 1970
  Duration took{};
  std::size_t rows = 0;
  std::string_view error;         // error.type, a literal; empty: they are there
  std::vector<TraceId> requests;  // whose rows they are, as far as they have a trace
};

// A 499 is the client's own doing; so is a 4xx.
inline bool failed(const Seen& seen) {
  return seen.status >= 500 || (seen.status == 200 && !seen.error.empty());
}

// The route that a request's span is named by.
std::string_view route_of(Endpoint endpoint);
// As a literal; "_OTHER" for what is not a usual one, as the HTTP conventions have it.
std::string_view method_of(std::string_view method);
std::string_view word(Step step);
// error.type of what did not end well.
std::string_view word(Kind kind);
inline std::string_view error_of(const Error& error) { return word(error.kind); }

enum class Incoming : std::uint8_t {
  parent,  // the caller's trace goes on
  link,    // a trace begins here, and says who called
  ignore,
};

// How the settings have it.
struct Rules {
  bool exporting = false;       // there is a backend
  bool texts = false;           // and it is told what is asked and answered
  bool propagate = true;        // what comes in is read, and what goes out is told
  bool follow_parent = true;    // whether a caller samples decides for us
  std::optional<double> share;  // of the traces that begin here, 0 to 1; none: all up to 10/s
  Duration slow = 10s;
  Incoming incoming = Incoming::parent;
};

class Tracer;

// The trace of a request under way, shared by it and its calls on one loop. It is told when the
// last of them lets go. One that was not begun sees nothing.
class Trace {
 public:
  Trace() = default;
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;
  ~Trace();

  // A request of this moment begins. `traceparent`: as it came, or empty.
  void begin(Tracer& tracer, const Rules& rules, std::string_view traceparent, Random& random,
             Time now);
  explicit operator bool() const { return tracer_ != nullptr; }

  Seen seen;
  std::shared_ptr<Texts> texts;  // null: they are nobody's business

  // A step begins: its place, for `end`. Past so many steps nothing is seen.
  std::uint8_t step(Step step, std::uint8_t parent, std::string_view name, Time now);
  void end(std::uint8_t place, Time now, std::string_view result = {}, std::string_view error = {});
  Span* at(std::uint8_t place) { return place < spans_.size() ? &spans_[place] : nullptr; }

  // What a request below this step is told; nothing where nothing is. Where nobody gets our spans
  // the caller's own context goes on, so that what is seen before and behind us stays one trace.
  std::optional<Context> outgoing(std::uint8_t place) const;

 private:
  static constexpr std::size_t kMostSpans = 64;

  SpanId id_of(std::size_t place) const;

  Tracer* tracer_ = nullptr;
  Duration slow_{};
  bool exporting_ = false;
  bool propagate_ = false;
  std::vector<Span> spans_;
};

}  // namespace penstock::trace
