#include "trace/tracer.h"

#include <cmath>

namespace penstock::trace {
namespace {

constexpr Duration kSampleEach = 100ms;  // ten a second
constexpr Duration kBurst = 1s;          // as many at once as a second has

}  // namespace

// ---- the ring --------------------------------------------------------------------------------

// Whoever finds it busy leaves it: a request that ends waits for nobody. A reader holds it for a
// copy; a writer meets another only where the ring went round while that one was interrupted.
struct Ring::Slot {
  mutable std::atomic_flag busy;
  std::uint64_t number = 0;  // of the request, from 1; 0: none yet
  Finished kept;
};

Ring::Ring(std::size_t size) {
  slots_.reserve(size);
  for (std::size_t i = 0; i < size; ++i) slots_.push_back(std::make_unique<Slot>());
}

Ring::~Ring() = default;

void Ring::add(const Seen& seen, std::vector<Span>& spans) {
  const Claim claim(*this);
  Finished* const place = claim.get();
  if (place == nullptr) return;
  place->seen = seen;
  place->spans.swap(spans);
}

Ring::Claim::Claim(Ring& ring) {
  const std::uint64_t number = ring.next_.fetch_add(1, std::memory_order_relaxed) + 1;
  Slot& slot = *ring.slots_[number % ring.slots_.size()];
  if (slot.busy.test_and_set(std::memory_order_acquire)) return;
  slot.number = number;
  slot_ = &slot;
}

Ring::Claim::~Claim() {
  if (slot_ != nullptr) slot_->busy.clear(std::memory_order_release);
}

Finished* Ring::Claim::get() const { return slot_ != nullptr ? &slot_->kept : nullptr; }

std::vector<Finished> Ring::last(std::size_t most,
                                 const std::function<bool(const Seen&)>& wanted) const {
  std::vector<Finished> found;
  const std::uint64_t newest = next_.load(std::memory_order_relaxed);
  for (std::uint64_t i = 0; i < slots_.size() && i < newest && found.size() < most; ++i) {
    const Slot& slot = *slots_[(newest - i) % slots_.size()];
    if (slot.busy.test_and_set(std::memory_order_acquire)) continue;
    if (slot.number != 0 && wanted(slot.kept.seen)) found.push_back(slot.kept);
    slot.busy.clear(std::memory_order_release);
  }
  return found;
}

std::optional<Finished> Ring::find(std::string_view id) const {
  const std::optional<TraceId> trace = parse_trace_id(id);
  std::vector<Finished> found = last(1, [&](const Seen& seen) {
    return seen.request_id.view() == id || (trace && seen.context.trace == *trace);
  });
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

// ---- the keep rule ---------------------------------------------------------------------------

void Tracer::begin(Seen& seen, std::string_view traceparent, const Rules& rules, Random& random,
                   Time now) {
  std::optional<Context> caller;
  if (rules.propagate && rules.incoming != Incoming::ignore && !traceparent.empty()) {
    caller = parse_traceparent(traceparent);
  }
  seen.context.span = new_span_id(random);
  if (caller && rules.incoming == Incoming::parent) {
    seen.context.trace = caller->trace;
    seen.parent = caller->span;
    seen.context.sampled = rules.follow_parent || !rules.exporting
                               ? caller->sampled
                               : sample(seen.context.trace, rules, now);
    return;
  }
  seen.context.trace = new_trace_id(random);
  if (caller) seen.link = *caller;
  seen.context.sampled = rules.exporting && sample(seen.context.trace, rules, now);
}

bool Tracer::sample(const TraceId& trace, const Rules& rules, Time now) {
  if (rules.share) {
    // By the id alone, so that all who see a trace and keep the same share keep the same traces:
    // the lowest 56 bits are its randomness (W3C Trace Context, level 2).
    constexpr double kAll = 0x1p56;
    return static_cast<double>(trace.low & 0xffffffffffffff) >= kAll * (1 - *rules.share);
  }
  // When the next one is due if they came evenly; a second's worth may come at once.
  const Time::rep at = now.time_since_epoch().count();
  Time::rep next = next_sample_.load(std::memory_order_relaxed);
  for (;;) {
    if (next > at + (kBurst - kSampleEach).count()) return false;
    const Time::rep after = std::max(next, at) + kSampleEach.count();
    if (next_sample_.compare_exchange_weak(next, after, std::memory_order_relaxed)) return true;
  }
}

void Tracer::end(Seen& seen, std::vector<Span>& spans, Duration slow,
                 std::shared_ptr<const Texts> texts) {
  if (exporter && keep(seen, slow)) exporter({seen, spans, std::move(texts)});
  ring_.add(seen, spans);
}

}  // namespace penstock::trace
