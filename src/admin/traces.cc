// The traces of the last requests: where their time went, and where their errors began.
#include <fmt/chrono.h>

#include <charconv>

#include "admin/body.h"
#include "admin/desk.h"
#include "exchange/refusals.h"
#include "settings/values.h"
#include "trace/analysis.h"

namespace penstock::admin {
namespace {

constexpr std::size_t kListed = 100;
constexpr std::size_t kMostListed = 1000;

double ms(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

std::string moment(std::int64_t us) {
  const std::chrono::sys_seconds time{std::chrono::seconds(us / 1'000'000)};
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", time, us / 1000 % 1000);
}

void text_or_null(dialect::JsonWriter& json, std::string_view name, std::string_view text) {
  if (text.empty()) {
    json.member_null(name);
  } else {
    json.member(name, text);
  }
}

// What the list has of each, and the trace itself begins with.
void write_seen(dialect::JsonWriter& json, const trace::Seen& seen) {
  json.member("request_id", seen.request_id.view());
  json.member("trace_id", trace::text(trace::text_of(seen.context.trace)));
  json.member("time", moment(seen.begin_us));
  json.member("duration_ms", ms(seen.took));
  json.member("method", seen.method).member("route", seen.route).member("status", seen.status);
  json.member("stream", seen.stream);
  text_or_null(json, "model", seen.model.view());
  text_or_null(json, "engine", seen.engine_name.view());
  text_or_null(json, "cache", seen.cache);
  text_or_null(json, "level", seen.level);
  text_or_null(json, "error", seen.error);
  json.member("exported", seen.kept);
}

void write_facts(dialect::JsonWriter& json, const trace::Seen& seen) {
  if (seen.parent != 0) {
    json.member("parent_span_id", trace::text(trace::text_of(seen.parent)));
  } else {
    json.member_null("parent_span_id");
  }
  if (seen.link) {
    json.member("linked_trace_id", trace::text(trace::text_of(seen.link.trace)));
  }
  json.member("sampled", seen.context.sampled);
  json.member("engine_ms", ms(seen.engine)).member("gateway_ms", ms(seen.took - seen.engine));
  if (seen.first_token > Duration::zero()) json.member("first_token_ms", ms(seen.first_token));
  json.member("attempts", seen.attempts);
  text_or_null(json, "limit", seen.limit);
  json.member("input_tokens", seen.usage.input).member("output_tokens", seen.usage.output);
  json.member("request_bytes", seen.request_bytes).member("response_bytes", seen.response_bytes);
}

std::string_view kind_of(const trace::Finished& trace, std::uint8_t place) {
  if (place >= trace.spans.size()) return "server";
  const trace::Step step = trace.spans[place].step;
  const bool internal = step == trace::Step::cache_lookup || step == trace::Step::coalesce_wait;
  return internal ? "internal" : "client";
}

void write_line(dialect::JsonWriter& json, const trace::Finished& trace, const trace::Line& line) {
  json.begin_object().member("name", trace::name_of(trace, line.place));
  json.member("kind", kind_of(trace, line.place)).member("depth", line.depth);
  json.member("begin_ms", ms(line.begin)).member("duration_ms", ms(line.took));
  json.member("own_ms", ms(line.own));
  if (line.place == trace::kRoot) {
    json.member("span_id", trace::text(trace::text_of(trace.seen.context.span)));
    json.member("failed", trace::failed(trace.seen));
    text_or_null(json, "error", trace.seen.error);
    json.end_object();
    return;
  }
  const trace::Span& span = trace.spans[line.place];
  json.member("span_id", trace::text(trace::text_of(span.id)));
  json.member("failed", span.status == trace::Status::error);
  text_or_null(json, "error", span.error);
  json.member("ended", span.end != Time());
  if (!span.result.empty()) json.member("result", span.result);
  if (span.step == trace::Step::cache_lookup) json.member("level", span.name);
  if (span.step == trace::Step::attempt) {
    json.member("engine", trace.seen.engine_name.view()).member("attempt", span.number);
  }
  if (span.code != 0) json.member("status", span.code);
  if (span.first != Time()) json.member("first_token_ms", ms(span.first - span.begin));
  if (span.link) {
    json.member("linked_trace_id", trace::text(trace::text_of(span.link.trace)));
  }
  json.end_object();
}

void write_trace(dialect::JsonWriter& json, const trace::Finished& trace) {
  const trace::Analysis analysis = trace::analyse(trace);
  json.begin_object();
  write_seen(json, trace.seen);
  write_facts(json, trace.seen);
  json.key("spans").begin_array();
  for (const trace::Line& line : analysis.lines) write_line(json, trace, line);
  json.end_array();
  const trace::Line& slowest = analysis.lines[analysis.bottleneck];
  json.key("bottleneck").begin_object();
  json.member("span", analysis.bottleneck).member("name", trace::name_of(trace, slowest.place));
  json.member("own_ms", ms(slowest.own));
  json.member("share",
              trace.seen.took > Duration::zero() ? ms(slowest.own) / ms(trace.seen.took) : 0.0);
  json.end_object();
  if (analysis.failed.empty()) {
    json.member_null("failure");
  } else {
    const std::uint8_t origin = analysis.failed.front();
    json.key("failure").begin_object().member("began_in", trace::name_of(trace, origin));
    json.member("error", origin == trace::kRoot ? trace.seen.error : trace.spans[origin].error);
    json.key("passed_through").begin_array();
    for (std::size_t i = 1; i < analysis.failed.size(); ++i) {
      json.value(trace::name_of(trace, analysis.failed[i]));
    }
    json.end_array().end_object();
  }
  json.end_object();
}

std::string shown(std::string_view name) { return std::string(name.substr(0, 64)); }

Refusal not_valid(const std::string& param, const std::string& expected) {
  return refusal(Reason::invalid_value, "Invalid '" + param + "': expected " + expected + ".",
                 param);
}

}  // namespace

// GET /admin/v1/traces: the newest first.
void Admin::Desk::traces(http::Request& request, http::Reply& reply) {
  const Result<Query, Refusal> query = read_query(request.head.query, "failed limit slow");
  if (!query) return refuse_with(reply, query.error());
  std::size_t limit = kListed;
  bool failed = false;
  Duration slow{};
  if (const auto given = query->find("limit"); given != query->end()) {
    const std::string& text = given->second;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (ec != std::errc{} || end != text.data() + text.size() || limit == 0 ||
        limit > kMostListed) {
      return refuse_with(reply, not_valid("limit", "a number from 1 to 1000"));
    }
  }
  if (const auto given = query->find("failed"); given != query->end()) {
    failed = given->second == "true";
    if (!failed && given->second != "false") {
      return refuse_with(reply, not_valid("failed", "true or false"));
    }
  }
  if (const auto given = query->find("slow"); given != query->end()) {
    const auto least = settings::parse_duration(given->second);
    if (!least) return refuse_with(reply, not_valid("slow", "a time such as 250ms"));
    slow = *least;
  }
  const std::vector<trace::Finished> last =
      house_.tracer.ring().last(limit, [&](const trace::Seen& seen) {
        return (!failed || seen.status >= 400 || trace::failed(seen)) && seen.took >= slow;
      });
  std::string out;
  dialect::JsonWriter writer(out);
  writer.begin_object().member("ring", house_.tracer.ring().size());
  writer.key("traces").begin_array();
  for (const trace::Finished& one : last) {
    writer.begin_object();
    write_seen(writer, one.seen);
    writer.end_object();
  }
  writer.end_array().end_object();
  json(reply, 200, out);
}

// GET /admin/v1/traces/{id}: by the request's id or the trace's.
void Admin::Desk::trace(http::Request& request, http::Reply& reply) {
  constexpr std::string_view kPath = "/admin/v1/traces/";
  const std::string_view id = request.head.path.substr(kPath.size());
  const std::optional<trace::Finished> found = house_.tracer.ring().find(id);
  if (!found) {
    const bool off = !house_.tracing.on(program_.settings()->features.opentelemetry_tracing);
    return refuse_with(
        reply, refusal(Reason::not_found,
                       "There is no request `" + shown(id) + "` among the last " +
                           std::to_string(house_.tracer.ring().size()) + " (tracing.ring)" +
                           (off ? ", and tracing is off (features.opentelemetry_tracing)." : ".")));
  }
  std::string out;
  dialect::JsonWriter writer(out);
  write_trace(writer, *found);
  json(reply, 200, out);
}

}  // namespace penstock::admin
