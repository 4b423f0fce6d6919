// Who keeps what is seen of requests: the last ones of all for a look (`penstock trace`), and for a
// backend those that the keep rule takes: sampled, failed, or slow.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "trace/trace.h"

namespace penstock::trace {

// The last requests of all workers. Any thread.
class Ring {
  struct Slot;

 public:
  explicit Ring(std::size_t size);
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring();

  void add(const Seen& seen, std::vector<Span>& spans);  // takes the spans

  // The next place, to be written by whoever has it; null where somebody reads it at this moment.
  class Claim {
   public:
    explicit Claim(Ring& ring);
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    ~Claim();
    Finished* get() const;

   private:
    Slot* slot_ = nullptr;
  };

  // The newest first.
  std::vector<Finished> last(std::size_t most,
                             const std::function<bool(const Seen&)>& wanted) const;
  // By the request's id, or the trace's in hexadecimal; the newest of several.
  std::optional<Finished> find(std::string_view id) const;
  std::size_t size() const { return slots_.size(); }

 private:
  std::vector<std::unique_ptr<Slot>> slots_;
  std::atomic<std::uint64_t> next_{0};
};

class Tracer {
 public:
  Tracer() : ring_(1) {}
  explicit Tracer(std::size_t ring) : ring_(ring) {}

  // What is exported goes here, on the thread that the request ended on. Set before there are
  // requests.
  std::function<void(Finished&&)> exporter;

  // Makes the context of a request that begins here, and says whose part it is.
  void begin(Seen& seen, std::string_view traceparent, const Rules& rules, Random& random,
             Time now);
  // A request without steps, from its beginning to its end: it is written where it is kept. `fill`
  // says what it was.
  template <class Fill>
  void see(std::string_view traceparent, const Rules& rules, Random& random, Time now,
           const Fill& fill) {
    std::vector<Span> old;  // freed when the place is others' again
    Seen elsewhere;
    const Ring::Claim claim(ring_);
    Finished* const place = claim.get();
    if (place != nullptr) {
      place->spans.swap(old);
      std::construct_at(&place->seen);
    }
    Seen& seen = place != nullptr ? place->seen : elsewhere;
    begin(seen, traceparent, rules, random, now);
    fill(seen);
    if (exporter && keep(seen, rules.slow)) exporter({seen, {}});
  }
  // It has ended. The spans are taken.
  void end(Seen& seen, std::vector<Span>& spans, Duration slow,
           std::shared_ptr<const Texts> texts = nullptr);

  const Ring& ring() const { return ring_; }

 private:
  bool sample(const TraceId& trace, const Rules& rules, Time now);
  static bool keep(Seen& seen, Duration slow) {
    seen.kept = seen.context.sampled || failed(seen) || seen.took >= slow;
    return seen.kept;
  }

  Ring ring_;
  std::atomic<Time::rep> next_sample_{0};
};

}  // namespace penstock::trace
