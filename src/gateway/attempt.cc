// Calls to engines: one client's own, or one for all who ask the same at the same time.

#include "gateway/attempt.h"

#include "dialect/answer.h"
#include "dialect/refusal.h"
#include "gateway/exchange.h"
#include "gateway/keep.h"
#include "gateway/scope.h"

namespace penstock::gateway {
namespace {

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// Everything end to end but credentials, what describes this connection, and what is ours.
bool forwarded(std::string_view name, std::string_view connection) {
  if (http::hop_by_hop(name) || name.starts_with("x-penstock-")) return false;
  for (const std::string_view dropped : {"host",
                                         "authorization",
                                         "api-key",
                                         "x-api-key",
                                         "cookie",
                                         "content-length",
                                         "content-type",
                                         "accept",
                                         "accept-encoding",
                                         "expect",
                                         "x-request-id",
                                         "forwarded",
                                         "x-forwarded-for",
                                         "x-forwarded-host",
                                         "x-forwarded-proto",
                                         "x-real-ip",
                                         "origin",
                                         "referer",
                                         "cache-control",
                                         "te",
                                         "upgrade-insecure-requests"}) {
    if (name == dropped) return false;
  }
  return connection.empty() || !http::list_has(connection, name);
}

std::vector<HeaderView> forwarded(const http::RequestHead& head) {
  std::vector<HeaderView> headers;
  headers.reserve(head.fields.size());
  const std::string_view connection = head.find("connection");
  for (const http::Field& field : head.fields) {
    if (forwarded(field.name, connection)) headers.push_back({field.name, field.value});
  }
  return headers;
}

// The gateway needs the usage of a stream for its figures and for plain callers of the cache.
bool ask_usage(const Question& question, settings::EngineKind kind) {
  // A client that set stream_options is taken at its word.
  return question.stream && question.stream_options_at.empty() &&
         kind == settings::EngineKind::openai &&
         (question.endpoint == Endpoint::chat || question.endpoint == Endpoint::completions);
}

// Calls, and makes sure that the call is counted whatever becomes of it.
Task<Result<Answer>> measured_call(engine::Engine& engine, const engine::Call& call,
                                   std::shared_ptr<EngineMetrics> metrics, bool strip_usage,
                                   Deadline& deadline) {
  auto record = std::make_unique<CallRecord>(std::move(metrics), Clock::now());
  Result<Answer> answer = co_await engine.call(call, deadline);
  const Time now = Clock::now();
  if (!answer) {
    record->end(outcome_of(answer.error()), now);
    co_return answer;
  }
  if (answer->status >= 300) record->fail(outcome_of(answer->status));
  if (answer->rest) {
    const bool events = answer->event_stream() && answer->status == 200 &&
                        call.question.endpoint != Endpoint::other;
    answer->rest = std::make_unique<WatchedFlow>(std::move(answer->rest), std::move(record), events,
                                                 strip_usage);
  } else {
    if (answer->status == 200 && call.question.endpoint != Endpoint::other) {
      if (const auto usage = dialect::read_usage(answer->body)) record->usage(*usage);
    }
    record->end(outcome_of(answer->status), now);
  }
  co_return answer;
}

// A question that outlives the request that asked it.
struct OwnQuestion {
  OwnQuestion(const Question& asked, std::span<const HeaderView> asked_headers, std::string_view id)
      : question(asked), request_id(id) {
    // One piece of memory for all that is viewed; the body last, with its padding.
    std::size_t size = asked.method.size() + asked.target.size() + asked.content_type.size() +
                       asked.body.size() + Buffer::kPadding;
    for (const HeaderView& header : asked_headers) size += header.name.size() + header.value.size();
    text.reserve(size);
    const auto own = [&](std::string_view view) {
      const std::size_t at = text.size();
      text += view;
      return std::string_view(text).substr(at, view.size());
    };
    for (const HeaderView& header : asked_headers) {
      headers.push_back({own(header.name), own(header.value)});
    }
    question.method = own(asked.method);
    question.target = own(asked.target);
    question.content_type = own(asked.content_type);
    question.body = own(asked.body);
  }
  OwnQuestion(const OwnQuestion&) = delete;
  OwnQuestion& operator=(const OwnQuestion&) = delete;

  Question question;
  std::string request_id;
  std::string text;
  std::vector<HeaderView> headers;
};

constexpr std::uint64_t kWholeAnswer = 256 * 1024;      // sent in one piece, with its length
constexpr std::uint64_t kConverted = 32 * 1024 * 1024;  // the most that is made into another form

// Bytes that were read ahead, then the rest.
class PrefixedFlow final : public Flow {
 public:
  PrefixedFlow(std::string first, std::unique_ptr<Flow> rest)
      : first_(std::move(first)), rest_(std::move(rest)) {}
  std::optional<Result<std::string_view>> poll() override {
    if (given_) return rest_->poll();
    given_ = true;
    return std::string_view(first_);
  }
  Task<Result<void>> wait(Deadline& deadline) override { return rest_->wait(deadline); }

 private:
  std::string first_;
  std::unique_ptr<Flow> rest_;
  bool given_ = false;
};

// The answer's bytes up to about `most`; `answer.rest` is null afterwards if that was all.
Task<Result<std::string>> gather(Answer& answer, std::uint64_t most, Deadline& deadline) {
  std::string body;
  for (;;) {
    Result<std::string_view> piece = co_await answer.rest->next(deadline);
    if (!piece) co_return std::move(piece).error();
    if (piece->empty()) {
      answer.rest.reset();
      co_return body;
    }
    body += *piece;
    if (body.size() > most) co_return body;
  }
}

// What drives a flight: everything of its own, since the client that began it may leave.
struct Order {
  House& house;
  Loop& loop;
  std::shared_ptr<const Snapshot> with;
  route::Plan plan;
  cache::Key key;
  OwnQuestion own;
  cache::FlightPtr flight;
};

// Passes the engine's answer to the flight, and whole and good ones to the cache.
Task<Result<void>> drive_to_end(Order& order, Deadline& deadline) {
  const settings::EngineSettings& engine = order.with->settings->engines[order.plan.engine];
  Question& question = order.own.question;
  engine::Call call{question, order.plan.upstream_model, order.own.headers, order.own.request_id,
                    ask_usage(question, engine.kind)};
  Result<Answer> answer =
      co_await measured_call(*order.with->engines[order.plan.engine], call,
                             order.with->pairs[order.plan.metrics], false, deadline);
  if (!answer) co_return std::move(answer).error();

  Keeper keeper(order.with->settings->cache, question, *answer, kScope);
  if (!answer->rest) answer->length = answer->body.size();
  order.flight->head({answer->status, answer->content_type, answer->headers, answer->length});
  if (!answer->rest) {
    keeper.add(answer->body);
    order.flight->append(std::move(answer->body));
  } else {
    for (;;) {
      Result<std::string_view> piece = co_await answer->rest->next(deadline);
      if (!piece) co_return std::move(piece).error();
      if (piece->empty()) break;
      keeper.add(*piece);
      order.flight->append(std::string(*piece));
      Result<void> room = co_await order.flight->room(deadline);
      if (!room) co_return room;
    }
  }
  Random random;
  if (auto entry = keeper.entry(order.key, order.plan.model, engine.name, Clock::now(), random)) {
    order.house.cache.store(std::move(entry));
  }
  co_return Result<void>();
}

Task<void> drive(std::unique_ptr<Order> order) {
  const Time begun = Clock::now();
  Deadline deadline(order->loop,
                    begun + order->with->settings->engines[order->plan.engine].timeout.total);
  order->flight->drive(order->loop, [&deadline] { deadline.call_off(Why::left); });
  Result<void> done = co_await drive_to_end(*order, deadline);
  if (done) {
    order->flight->finish();
  } else {
    order->flight->fail(std::move(done).error());
  }
}

}  // namespace

// ---- the record of a call ------------------------------------------------------------------

CallRecord::CallRecord(std::shared_ptr<EngineMetrics> metrics, Time begun)
    : metrics_(std::move(metrics)), begun_(begun) {
  ++metrics_->calls;
  metrics_->in_flight.set(static_cast<double>(metrics_->calls));
}

CallRecord::~CallRecord() {
  if (!ended_) end(Outcome::cancelled, Clock::now());
}

void CallRecord::first_byte(Time now) {
  first_ = now;
  metrics_->first_token.observe(seconds(now - begun_));
}

void CallRecord::usage(const Usage& usage) {
  output_tokens_ = usage.output;
  metrics_->tokens_input.add(static_cast<double>(usage.input));
  metrics_->tokens_output.add(static_cast<double>(usage.output));
  metrics_->tokens_cached_input.add(static_cast<double>(usage.cached_input));
  metrics_->tokens_reasoning.add(static_cast<double>(usage.reasoning));
  metrics_->request_tokens_input.observe(static_cast<double>(usage.input));
  metrics_->request_tokens_output.observe(static_cast<double>(usage.output));
}

void CallRecord::end(Outcome outcome, Time now) {
  if (ended_) return;
  ended_ = true;
  if (failed_ != Outcome::success && outcome == Outcome::success) outcome = failed_;
  --metrics_->calls;
  metrics_->in_flight.set(static_cast<double>(metrics_->calls));
  metrics_->requests[static_cast<std::size_t>(outcome)].add();
  metrics_->duration.observe(seconds(now - begun_));
  if (first_ != Time{} && output_tokens_ > 1) {
    metrics_->per_output_token.observe(seconds(now - first_) /
                                       static_cast<double>(output_tokens_ - 1));
  }
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

WatchedFlow::WatchedFlow(std::unique_ptr<Flow> inner, std::unique_ptr<CallRecord> record,
                         bool events, bool strip_usage)
    : inner_(std::move(inner)), record_(std::move(record)), events_(events), stream_(strip_usage) {}

Result<std::string_view> WatchedFlow::failed(Error error) {
  if (record_) record_->end(outcome_of(error), Clock::now());
  return error;
}

std::optional<Result<std::string_view>> WatchedFlow::poll() {
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
    // What was held back (a part of an event, the usage that nobody asked for) is not an end.
    if (!passed->empty()) return passed;
  }
}

Result<std::string_view> WatchedFlow::ended() {
  if (events_ && record_ && stream_.usage()) record_->usage(*stream_.usage());
  // An error of the engine's own has been passed on: another would only repeat it.
  if (events_ && !stream_.done() && !stream_.failed()) {
    return failed({Kind::broken, Source::engine, false, "the engine's stream ended without [DONE]"});
  }
  const bool bad = events_ && stream_.failed();
  if (record_) record_->end(bad ? Outcome::server_error : Outcome::success, Clock::now());
  return std::string_view();
}

Task<Result<void>> WatchedFlow::wait(Deadline& deadline) {
  Result<void> ready = co_await inner_->wait(deadline);
  if (!ready && record_) record_->end(outcome_of(ready.error()), Clock::now());
  co_return ready;
}

// What went wrong in full is the operator's to read; a client learns no address.
Refusal Gateway::refusal_of(Exchange& x, Error error) {
  if (error.kind != Kind::cancelled) {
    house_.log.warning("an engine did not answer", {{"request_id", x.recorder.request_id()},
                                                    {"engine", x.recorder.engine},
                                                    {"reason", error.detail}});
  }
  if (error.kind == Kind::unreachable) {
    error.detail = "the engine " + std::string(x.recorder.engine) + " cannot be reached";
  }
  return dialect::refusal_of(error);
}

// ---- the two ways to ask -----------------------------------------------------------------------

Task<Result<Answer, Refusal>> Gateway::ask(Exchange& x) {
  const settings::EngineSettings& engine = x.settings().engines[x.plan.engine];
  x.deadline.move(std::min(x.deadline.at(), x.request.received + engine.timeout.total));
  const std::vector<HeaderView> headers = forwarded(x.request.head);
  const engine::Call call{x.question, x.plan.upstream_model, headers, x.recorder.request_id(),
                          ask_usage(x.question, engine.kind)};
  const Time asked = Clock::now();
  Result<Answer> answer = co_await measured_call(x.engine(), call, x.with->pairs[x.plan.metrics],
                                                 call.ask_usage, x.deadline);
  x.recorder.waited_for_engine(Clock::now() - asked);
  if (!answer) co_return refusal_of(x, std::move(answer).error());
  co_return *std::move(answer);
}

// Whoever asks first sends the question on; all who ask meanwhile read the same answer from its
// beginning. The call belongs to none of them: it ends early only when the last has left.
Task<Result<Answer, Refusal>> Gateway::ask_once_for_all(Exchange& x) {
  cache::FlightTable::Joined joined = x.settings().cache.coalesce
                                          ? house_.flights.join(x.key, loop_)
                                          : house_.flights.alone(x.key, loop_);
  std::unique_ptr<cache::Reader> reader = std::move(joined.reader);
  if (joined.leader) {
    const std::vector<HeaderView> headers = forwarded(x.request.head);
    auto order = std::unique_ptr<Order>(
        new Order{house_, loop_, x.with, x.plan, x.key,
                  OwnQuestion(x.question, headers, x.recorder.request_id()), joined.flight});
    loop_.spawn(drive(std::move(order)));
  } else {
    x.recorder.cache = CacheResult::coalesced;
    metrics_.coalesced.add();
  }

  const Time asked = Clock::now();
  Result<cache::Flight::Head> head = co_await reader->head(x.deadline);
  x.recorder.waited_for_engine(Clock::now() - asked);
  if (!head) co_return refusal_of(x, std::move(head).error());
  Answer answer;
  answer.status = head->status;
  answer.content_type = head->content_type;
  answer.headers = head->headers;
  answer.length = head->length;
  answer.rest = std::move(reader);

  const bool stream = answer.event_stream();
  if (stream && x.question.stream) {
    if (!x.question.include_usage) {
      answer.rest = std::make_unique<WatchedFlow>(std::move(answer.rest), nullptr, true, true);
    }
    co_return answer;
  }
  const bool convert = answer.status == 200 && stream != x.question.stream;
  const bool small = answer.length.value_or(0) <= kWholeAnswer;
  if (!convert && (stream || !small)) co_return answer;

  // Whole answers go out in one piece, and a form that was not asked for is made into the other.
  const Time waiting = Clock::now();
  Result<std::string> body =
      co_await gather(answer, convert ? kConverted : kWholeAnswer, x.deadline);
  x.recorder.waited_for_engine(Clock::now() - waiting);
  if (!body) co_return refusal_of(x, std::move(body).error());
  if (answer.rest) {  // larger than it said: what there is goes ahead of the rest
    answer.rest = std::make_unique<PrefixedFlow>(*std::move(body), std::move(answer.rest));
    co_return answer;
  }
  answer.length.reset();
  if (convert) {
    Result<std::string> other =
        stream ? dialect::assemble(*body) : dialect::split(*body, x.question.include_usage);
    if (!other) co_return refusal_of(x, std::move(other).error());
    answer.content_type = stream ? "application/json" : "text/event-stream; charset=utf-8";
    answer.body = *std::move(other);
  } else {
    answer.body = *std::move(body);
  }
  co_return answer;
}

}  // namespace penstock::gateway
