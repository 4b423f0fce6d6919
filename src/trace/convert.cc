#include "trace/convert.h"

#include "exchange/gen_ai.h"
#include "trace/analysis.h"

namespace penstock::trace {
namespace {

std::int64_t nanoseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

class Converter {
 public:
  Converter(const Finished& trace, const Facts& facts)
      : trace_(trace), seen_(trace.seen), facts_(facts) {
    const auto engine = facts.engines.find(seen_.engine_name.view());
    if (engine != facts.engines.end()) engine_ = &engine->second;
  }

  ExportSpan request() const {
    ExportSpan span;
    span.context = seen_.context;
    span.parent = seen_.parent;
    span.name = name_of(trace_, kRoot);
    span.kind = SpanKind::server;
    span.unix_ns = unix_ns(seen_.begin);
    span.took_ns = nanoseconds(seen_.took);
    if (seen_.link) span.links.push_back(seen_.link);
    add(span, "http.request.method", seen_.method);
    add(span, "http.route", seen_.route);
    add(span, "url.path", seen_.route);
    add(span, "url.scheme", std::string_view("http"));
    add(span, "http.response.status_code", std::int64_t{seen_.status});
    add(span, "network.protocol.version", std::string_view("1.1"));
    add(span, "http.request.body.size", static_cast<std::int64_t>(seen_.request_bytes));
    add(span, "http.response.body.size", static_cast<std::int64_t>(seen_.response_bytes));
    add(span, "penstock.request_id", seen_.request_id.view());
    add(span, gen_ai::kModel, seen_.model.view());
    add(span, "penstock.engine", seen_.engine_name.view());
    add(span, "penstock.cache.result", seen_.cache);
    add(span, "penstock.cache.level", seen_.level);
    if (seen_.complexity >= 0) {
      span.attributes.push_back({"penstock.complexity", seen_.complexity});
    }
    add(span, "penstock.limit.decision", seen_.limit);
    add(span, "penstock.attempts", std::int64_t{seen_.attempts});
    span.attributes.push_back({"penstock.stream", seen_.stream});
    add(span, "penstock.error", seen_.error);
    // A 4xx is the client's, and a client that left is no error of ours.
    if (failed(seen_)) {
      span.error = true;
      span.message = seen_.error;
      add(span, "error.type",
          seen_.error.empty() ? std::string_view(std::to_string(seen_.status)) : seen_.error);
    }
    if (seen_.first_token > Duration::zero()) {
      span.events.push_back({"first_token", unix_ns(seen_.begin + seen_.first_token)});
    }
    return span;
  }

  ExportSpan step(std::size_t place) const {
    const Span& from = trace_.spans[place];
    ExportSpan span;
    span.context = seen_.context;
    span.context.span = from.id;
    span.parent =
        from.parent < trace_.spans.size() ? trace_.spans[from.parent].id : seen_.context.span;
    span.name = name_of(trace_, static_cast<std::uint8_t>(place));
    span.kind = SpanKind::client;
    span.unix_ns = unix_ns(from.begin);
    const Time end = from.end != Time() ? from.end : std::max(from.begin, seen_.begin + seen_.took);
    span.took_ns = nanoseconds(end - from.begin);
    span.error = from.status == Status::error;
    if (span.error) {
      add(span, "error.type",
          from.code >= 400 ? std::to_string(from.code) : std::string(from.error));
      span.message = from.error;
    }
    if (from.link) span.links.push_back(from.link);
    switch (from.step) {
      case Step::cache_lookup:
        span.kind = SpanKind::internal;
        add(span, "penstock.cache.level", from.name);
        add(span, "penstock.cache.result", from.result);
        break;
      case Step::coalesce_wait: span.kind = SpanKind::internal; break;
      case Step::redis:
        add(span, "db.system.name", std::string_view("redis"));
        add(span, "db.operation.name", from.name);
        if (from.name == "EVALSHA") add(span, "db.stored_procedure.name", from.result);
        break;
      case Step::database:
        add(span, "db.system.name", facts_.database);
        add(span, "db.query.summary", from.name);
        add(span, "db.query.text", query_of(from));
        break;
      case Step::operation: operation(span, from); break;
      case Step::attempt: attempt(span, from); break;
    }
    return span;
  }

  static void add_messages(ExportSpan& span, const Messages& messages) {
    add(span, gen_ai::kInputMessages, messages.input);
    add(span, gen_ai::kOutputMessages, messages.output);
  }

 private:
  std::string_view query_of(const Span& from) const {
    auto found = facts_.queries.find(std::string(from.name) + ' ' + std::string(from.result));
    if (found == facts_.queries.end()) found = facts_.queries.find(from.name);
    return found == facts_.queries.end() ? std::string_view() : std::string_view(found->second);
  }

  void operation(ExportSpan& span, const Span& from) const {
    add(span, gen_ai::kOperation, from.name);
    if (engine_ != nullptr) add(span, gen_ai::kProvider, engine_->provider);
    add(span, gen_ai::kModel, seen_.model.view());
    if (seen_.max_tokens > 0) add(span, gen_ai::kMaxTokens, std::int64_t{seen_.max_tokens});
    if (seen_.usage.input + seen_.usage.output > 0) {
      add(span, gen_ai::kInput, static_cast<std::int64_t>(seen_.usage.input));
      add(span, gen_ai::kOutput, static_cast<std::int64_t>(seen_.usage.output));
    }
    if (from.first != Time()) span.events.push_back({"first_token", unix_ns(from.first)});
  }

  void attempt(ExportSpan& span, const Span& from) const {
    add(span, "http.request.method", from.name);
    add(span, "penstock.engine", seen_.engine_name.view());
    if (from.code != 0) add(span, "http.response.status_code", std::int64_t{from.code});
    if (from.number > 0) add(span, "http.request.resend_count", std::int64_t{from.number});
    if (engine_ != nullptr && !engine_->address.empty()) {
      add(span, "server.address", engine_->address);
      add(span, "server.port", std::int64_t{engine_->port});
    }
  }

  // The monotonic clock's moment on the wall's: of all steps by the same shift.
  std::int64_t unix_ns(Time at) const {
    return seen_.begin_us * 1000 + nanoseconds(at - seen_.begin);
  }
  static void add(ExportSpan& span, const char* name, std::string_view value) {
    if (!value.empty()) span.attributes.push_back({name, std::string(value)});
  }
  static void add(ExportSpan& span, const char* name, std::int64_t value) {
    span.attributes.push_back({name, value});
  }

  const Finished& trace_;
  const Seen& seen_;
  const Facts& facts_;
  const EngineFacts* engine_ = nullptr;
};

}  // namespace

std::vector<ExportSpan> convert(const Finished& trace, const Facts& facts,
                                const Messages& messages) {
  const Converter converter(trace, facts);
  std::vector<ExportSpan> spans;
  spans.reserve(trace.spans.size() + 1);
  spans.push_back(converter.request());
  std::size_t operation = 0;
  for (std::size_t i = 0; i < trace.spans.size(); ++i) {
    spans.push_back(converter.step(i));
    if (trace.spans[i].step == Step::operation) operation = spans.size() - 1;
  }
  Converter::add_messages(spans[operation], messages);
  return spans;
}

ExportSpan convert(const Flush& flush, const Facts& facts, std::vector<Context> requests,
                   Random& random) {
  ExportSpan span;
  span.context = {new_trace_id(random), new_span_id(random), true};
  span.name = "penstock.usage.flush";
  span.unix_ns = flush.begin_us * 1000;
  span.took_ns = nanoseconds(flush.took);
  span.attributes.push_back({"db.system.name", facts.database});
  span.attributes.push_back({"db.operation.batch.size", static_cast<std::int64_t>(flush.rows)});
  if (!flush.error.empty()) {
    span.error = true;
    span.message = flush.error;
    span.attributes.push_back({"error.type", std::string(flush.error)});
  }
  span.links = std::move(requests);
  return span;
}

}  // namespace penstock::trace
