#include "gateway/call.h"

#include "dialect/answer.h"
#include "exchange/gen_ai.h"
#include "gateway/form.h"

namespace penstock::gateway {

bool unwanted_usage(const Question& question) {
  const bool has_usage =
      question.endpoint == Endpoint::chat || question.endpoint == Endpoint::completions;
  return question.stream && has_usage && !question.include_usage;
}

bool ask_usage(const Question& question, bool shared) {
  if (!unwanted_usage(question)) return false;
  // Else a client that set stream_options is taken at its word.
  return shared || question.stream_options_at.empty();
}

Task<Result<Answer>> measured_call(std::shared_ptr<engine::Engine> engine, const engine::Call& call,
                                   std::shared_ptr<EngineMetrics> metrics, BillPtr bill,
                                   bool strip_usage, Time its_end, Deadline& deadline) {
  auto record = std::make_unique<CallRecord>(std::move(metrics), std::move(bill), call.question,
                                             Clock::now(), its_end);
  engine::Call attempt = call;
  attempt.traceparent = record->traceparent();
  Result<Answer> answer = co_await engine->call(attempt, deadline);
  if (!answer) {
    record->end(answer.error(), deadline);
    co_return answer;
  }
  record->status(answer->status);
  if (answer->status == 401 || answer->status == 403) {
    // A client's own credentials never reach an engine: it is the gateway's that were refused.
    record->end(Outcome::client_error, Clock::now());
    co_return Error{Kind::refused, Source::engine, false,
                    "engine " + engine->name() + " refused the gateway's credentials"};
  }
  if (answer->status >= 300) record->fail(outcome_of(answer->status));
  const Endpoint endpoint = call.question.endpoint;
  Result<std::optional<Usage>> usage =
      co_await make_sound(*answer, endpoint, engine->name(), deadline);
  if (!usage) {
    record->end(usage.error(), deadline);
    co_return std::move(usage).error();
  }
  if (*usage) {
    record->usage(**usage);
  } else if (!answer->rest && answer->status < 300 && endpoint != Endpoint::other) {
    record->usage_about(endpoint == Endpoint::embeddings ? 0 : tokens_about(answer->body));
  }
  if (answer->rest) {
    const bool events =
        answer->event_stream() && answer->status < 300 && endpoint != Endpoint::other;
    auto watched = std::make_unique<WatchedFlow>(std::move(answer->rest), events, strip_usage);
    watched->own(std::move(engine), std::move(record), deadline.loop());
    answer->rest = std::move(watched);
  } else {
    if (answer->event_stream() && answer->status < 300 && endpoint != Endpoint::other) {
      // A stream that was made in one go.
      const auto facts = dialect::stream_facts(answer->body);
      if (facts && facts->has_usage) record->usage(facts->usage);
      Result<std::string> frames = Error{};
      if (strip_usage) frames = dialect::frames_without_usage(answer->body);
      if (frames) answer->body = *std::move(frames);
    }
    record->end(outcome_of(answer->status), Clock::now());
  }
  co_return answer;
}

// ---- the record of a call ------------------------------------------------------------------

CallRecord::CallRecord(std::shared_ptr<EngineMetrics> metrics, BillPtr bill,
                       const Question& question, Time begun, Time its_end)
    : metrics_(std::move(metrics)),
      gen_ai_(metrics_->gen_ai[static_cast<std::size_t>(question.endpoint)]),
      bill_(std::move(bill)),
      begun_(begun),
      its_end_(its_end) {
  metrics_->in_flight.add(1);
  trace::Trace& trace = bill_->trace;
  if (!trace) return;
  const std::string_view operation = gen_ai::operation_of(question.endpoint);
  if (!operation.empty()) {
    operation_ = trace.step(trace::Step::operation, trace::kRoot, operation, begun);
  }
  attempt_ = trace.step(trace::Step::attempt, operation_, trace::method_of(question.method), begun);
  if (trace::Span* const span = trace.at(attempt_)) span->number = trace.seen.attempts;
  ++trace.seen.attempts;
  trace.seen.max_tokens = question.max_tokens.value_or(0);
  if (const auto told = trace.outgoing(attempt_)) traceparent_ = trace::traceparent(*told);
}

void CallRecord::status(int status) {
  for (const std::uint8_t place : {operation_, attempt_}) {
    if (trace::Span* const span = bill_->trace.at(place)) span->code = status;
  }
}

CallRecord::~CallRecord() {
  if (!ended_) end(Outcome::cancelled, Clock::now());
}

void CallRecord::first_byte(Time now) {
  first_ = now;
  if (trace::Span* const span = bill_->trace.at(operation_)) span->first = now;
  metrics_->saw_first_token(now - begun_, bill_->exemplar());
  gen_ai_.first_token(now - begun_);
}

void CallRecord::usage(const Usage& usage) {
  output_tokens_ = usage.output;
  bill_->trace.seen.usage = usage;
  metrics_->saw_output(usage.output);
  bill_->used(usage);
  metrics_->tokens_input.add(static_cast<double>(usage.input));
  metrics_->tokens_output.add(static_cast<double>(usage.output));
  metrics_->tokens_cached_input.add(static_cast<double>(usage.cached_input));
  metrics_->tokens_reasoning.add(static_cast<double>(usage.reasoning));
  metrics_->request_tokens_input.observe(static_cast<double>(usage.input));
  metrics_->request_tokens_output.observe(static_cast<double>(usage.output));
  gen_ai_.used(usage);
}

void CallRecord::end(Outcome outcome, Time now) {
  if (ended_) return;
  if (failed_ != Outcome::success && outcome == Outcome::success) outcome = failed_;
  switch (outcome) {
    case Outcome::success:
    case Outcome::client_error:
    case Outcome::rate_limited: metrics_->vitals->answered(); break;
    case Outcome::cancelled: break;
    default: metrics_->vitals->failed();
  }
  count(outcome, now);
}

void CallRecord::end(const Error& error, const Deadline& deadline) {
  const Outcome outcome = outcome_of(error);
  // A client without patience, or a bound of our own, says nothing about the engine.
  const bool impatient =
      error.kind == Kind::timeout && deadline.why() == Why::time && deadline.at() < its_end_;
  if (!impatient && error.kind != Kind::exhausted) return end(outcome, Clock::now());
  if (!ended_) count(outcome, Clock::now());
}

void CallRecord::count(Outcome outcome, Time now) {
  ended_ = true;
  // Whom nobody waits for any more has not failed.
  const bool bad = outcome != Outcome::success && outcome != Outcome::cancelled;
  for (const std::uint8_t place : {attempt_, operation_}) {
    bill_->trace.end(place, now, label_of(outcome), bad ? label_of(outcome) : std::string_view());
  }
  bill_->call_ended();
  metrics_->in_flight.add(-1);
  metrics_->requests[static_cast<std::size_t>(outcome)].add();
  metrics_->duration.observe_with(seconds(now - begun_), bill_->exemplar());
  gen_ai_.ended(now - begun_, outcome == Outcome::success);
  if (first_ != Time{} && output_tokens_ > 1) {
    const double each = seconds(now - first_) / static_cast<double>(output_tokens_ - 1);
    metrics_->per_output_token.observe(each);
    gen_ai_.per_output_token(each);
  }
}

Error told(Error error, std::string_view engine, const Deadline& deadline, Time total_ends) {
  if (error.kind == Kind::timeout && deadline.why() == Why::time) {
    const bool total = total_ends <= deadline.at();
    error.detail = "engine " + std::string(engine) + " did not end its answer within " +
                   (total ? "timeout.total" : "the time that the client gave it");
  } else if (error.source == Source::engine && !error.detail.starts_with("engine ")) {
    error.detail = "engine " + std::string(engine) + ": " + error.detail;
  }
  return error;
}

Outcome outcome_of(const Error& error) {
  switch (error.kind) {
    case Kind::unreachable: return Outcome::connect_error;
    case Kind::timeout: return Outcome::timeout;
    case Kind::cancelled: return Outcome::cancelled;
    case Kind::exhausted: return Outcome::rate_limited;
    default: return Outcome::protocol_error;
  }
}

Outcome outcome_of(int status) {
  if (status == 429) return Outcome::rate_limited;
  if (status >= 500) return Outcome::server_error;
  if (status >= 400) return Outcome::client_error;
  return status >= 300 ? Outcome::protocol_error : Outcome::success;
}

// ---- the watched stream ----------------------------------------------------------------------

namespace {

constexpr Duration kSeenOut = 1s;
constexpr int kMostBehind = 16;  // pieces behind [DONE]

struct Leaving {
  std::shared_ptr<engine::Engine> engine;  // outlives the flow
  std::unique_ptr<Flow> flow;
};

// Its last line is empty.
bool ends_event(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text.ends_with('\n') || text.ends_with('\r');
}

// The last chunk often comes in a packet of its own behind [DONE]. It is waited for here, so that
// the connection can be used again; one that does not end soon is closed.
Task<void> see_out(std::unique_ptr<Leaving> leaving, Loop& loop) {
  Deadline deadline(loop, Clock::now() + kSeenOut);
  for (int i = 0; i < kMostBehind; ++i) {
    Result<std::string_view> piece = co_await leaving->flow->next(deadline);
    if (!piece || piece->empty()) break;
  }
  leaving->flow.reset();
}

}  // namespace

void WatchedFlow::own(std::shared_ptr<engine::Engine> engine, std::unique_ptr<CallRecord> record,
                      Loop& loop) {
  engine_ = std::move(engine);
  record_ = std::move(record);
  loop_ = &loop;
}

// Usage that came is counted also where the answer did not come to its end: it was used.
std::unique_ptr<CallRecord> WatchedFlow::take_record() {
  if (record_ && events_) {
    if (stream_.usage()) {
      record_->usage(*stream_.usage());
    } else if (stream_.chunks() > 0) {
      record_->usage_about(stream_.chunks());  // most often a token each
    }
  }
  return std::move(record_);
}

void WatchedFlow::settle(Outcome outcome) {
  if (const auto record = take_record()) record->end(outcome, Clock::now());
}

WatchedFlow::~WatchedFlow() { settle(Outcome::cancelled); }

Result<std::string_view> WatchedFlow::failed(Error error) {
  settle(outcome_of(error));
  return error;
}

Result<std::string_view> WatchedFlow::done() {
  const std::optional<Result<std::string_view>> piece = inner_->poll();
  const bool over = piece && (!*piece || (*piece)->empty());
  if (!over) {
    loop_->spawn(see_out(
        std::unique_ptr<Leaving>(new Leaving{std::move(engine_), std::move(inner_)}), *loop_));
  }
  return ended();
}

std::optional<Result<std::string_view>> WatchedFlow::poll() {
  // A shared answer ends with its driver, who comes by here.
  if (loop_ != nullptr && stream_.done()) {
    if (!open_) return done();
    open_ = false;
    return std::string_view("\n");
  }
  for (;;) {
    std::optional<Result<std::string_view>> piece = inner_->poll();
    if (!piece) return piece;
    if (!*piece) return failed(std::move(*piece).error());
    const std::string_view bytes = **piece;
    if (bytes.empty()) return ended();
    if (!begun_) {
      begun_ = true;
      if (record_ && events_) record_->first_byte(Clock::now());
    }
    if (!events_) return piece;
    Result<std::string_view> passed = stream_.feed(bytes);
    if (!passed) return failed(std::move(passed).error());
    if (stream_.done()) {
      open_ = !ends_event(*passed);
      // It is counted before its end is passed on: what it used is known now.
      if (!stream_.broken()) {
        settle(stream_.failed() ? Outcome::server_error : Outcome::success);
      }
    }
    // What was held back (a part of an event, the usage that nobody asked for) is not an end.
    if (!passed->empty()) return passed;
  }
}

Result<std::string_view> WatchedFlow::ended() {
  if (events_ && stream_.broken()) return failed(stream_.fault());
  // An error of the engine's own has been passed on: another would only repeat it.
  if (events_ && !stream_.done() && !stream_.failed()) {
    return failed({Kind::broken, Source::engine, false, "its stream ended without [DONE]"});
  }
  const bool bad = events_ && stream_.failed();
  settle(bad ? Outcome::server_error : Outcome::success);
  return std::string_view();
}

Task<Result<void>> WatchedFlow::wait(Deadline& deadline) {
  Result<void> ready = co_await inner_->wait(deadline);
  if (ready) co_return ready;
  if (const auto record = take_record()) record->end(ready.error(), deadline);
  co_return ready;
}

}  // namespace penstock::gateway
