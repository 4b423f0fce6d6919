#include "trace/trace.h"

#include "trace/tracer.h"

namespace penstock::trace {

std::string_view route_of(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::chat: return "/v1/chat/completions";
    case Endpoint::completions: return "/v1/completions";
    case Endpoint::embeddings: return "/v1/embeddings";
    case Endpoint::models: return "/v1/models";
    case Endpoint::other: break;
  }
  return "/v1/*";
}

std::string_view method_of(std::string_view method) {
  for (const std::string_view known :
       {"POST", "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"}) {
    if (method == known) return known;
  }
  return "_OTHER";
}

std::string_view word(Step step) {
  switch (step) {
    case Step::cache_lookup: return "penstock.cache.lookup";
    case Step::coalesce_wait: return "penstock.coalesce.wait";
    case Step::redis: return "redis";
    case Step::database: return "database";
    case Step::operation: return "operation";
    case Step::attempt: break;
  }
  return "attempt";
}

std::string_view word(Kind kind) {
  switch (kind) {
    case Kind::invalid: return "invalid";
    case Kind::too_large: return "too_large";
    case Kind::not_found: return "not_found";
    case Kind::refused: return "refused";
    case Kind::unreachable: return "unreachable";
    case Kind::broken: return "broken";
    case Kind::timeout: return "timeout";
    case Kind::cancelled: return "cancelled";
    case Kind::exhausted: return "exhausted";
    case Kind::internal: break;
  }
  return "internal";
}

Trace::~Trace() {
  if (tracer_ != nullptr) tracer_->end(seen, spans_, slow_, std::move(texts));
}

void Trace::begin(Tracer& tracer, const Rules& rules, std::string_view traceparent, Random& random,
                  Time now) {
  tracer.begin(seen, traceparent, rules, random, now);
  tracer_ = &tracer;
  slow_ = rules.slow;
  exporting_ = rules.exporting;
  propagate_ = rules.propagate;
  if (rules.texts) texts = std::make_shared<Texts>();
}

// Different for each step of a request, and for each request's: the finaliser of SplitMix64
// (Steele, Lea, Flood, OOPSLA 2014) maps no two numbers to the same one.
SpanId Trace::id_of(std::size_t place) const {
  std::uint64_t z = seen.context.span + 0x9e3779b97f4a7c15 * (place + 1);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  z ^= z >> 31;
  return z != 0 ? z : 1;
}

std::optional<Context> Trace::outgoing(std::uint8_t place) const {
  if (tracer_ == nullptr || !propagate_) return std::nullopt;
  Context context = seen.context;
  if (exporting_ || seen.parent == 0) {
    if (place < spans_.size()) context.span = spans_[place].id;
  } else {
    context.span = seen.parent;
  }
  return context;
}

std::uint8_t Trace::step(Step step, std::uint8_t parent, std::string_view name, Time now) {
  if (tracer_ == nullptr || spans_.size() >= kMostSpans) return kRoot;
  if (spans_.empty()) spans_.reserve(4);
  Span& span = spans_.emplace_back();
  span.step = step;
  span.parent = parent;
  span.name = name;
  span.begin = now;
  span.id = id_of(spans_.size() - 1);
  return static_cast<std::uint8_t>(spans_.size() - 1);
}

void Trace::end(std::uint8_t place, Time now, std::string_view result, std::string_view error) {
  Span* const span = at(place);
  if (span == nullptr || span->end != Time()) return;
  span->end = now;
  span->result = result;
  span->error = error;
  if (!error.empty()) span->status = Status::error;
}

}  // namespace penstock::trace
