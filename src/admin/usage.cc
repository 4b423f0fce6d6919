// What was used, for the admin API: sums of the ledger in JSON, a page at a time, or whole in CSV.
#include <algorithm>
#include <array>

#include "admin/records.h"
#include "admin/words.h"
#include "exchange/refusals.h"
#include "settings/values.h"
#include "store/engagement.h"
#include "store/usage.h"

namespace penstock::admin {
namespace {

using Answer = RecordsRoom::Answer;

constexpr Duration kSince = 24h;
constexpr std::uint64_t kPage = 100;
constexpr std::uint64_t kMostPage = 1000;
constexpr std::size_t kMostCsvPages = 100;

Answer refused(Refusal refusal) {
  return {refusal.status, {}, "application/json", std::move(refusal)};
}

Refusal not_valid(const std::string& param, const std::string& expected) {
  return refusal(Reason::invalid_value, "Invalid '" + param + "': expected " + expected + ".",
                 param);
}

std::optional<std::string> value_of(const Query& query, std::string_view name) {
  const auto found = query.find(name);
  return found == query.end() ? std::nullopt : std::optional(found->second);
}

// `format` wins over Accept.
Result<bool, Refusal> wants_csv(const RecordsRoom::Ask& ask) {
  const auto format = value_of(ask.query, "format");
  if (!format) return ask.accept.find("text/csv") != std::string::npos;
  if (*format == "csv") return true;
  if (*format == "json") return false;
  return not_valid("format", "json or csv");
}

struct Times {
  WallTime from;
  WallTime to;
};

Result<Times, Refusal> times_of(const RecordsRoom::Ask& ask) {
  Times times{ask.now - std::chrono::duration_cast<WallTime::duration>(kSince), ask.now};
  for (const auto& [name, to] : {std::pair("since", &times.from), std::pair("until", &times.to)}) {
    const auto given = value_of(ask.query, name);
    if (!given) continue;
    const auto moment = moment_of(*given, ask.now);
    if (!moment) return not_valid(name, "a day such as 2027-01-31, a time, or how long ago (24h)");
    *to = *moment;
  }
  if (times.from >= times.to) return not_valid("since", "a time before `until`");
  return times;
}

Result<store::UsageQuestion, Refusal> question_of(const RecordsRoom::Ask& ask) {
  store::UsageQuestion question;
  const Result<Times, Refusal> times = times_of(ask);
  if (!times) return times.error();
  question.from_us = access::to_us(times->from);
  question.to_us = access::to_us(times->to);
  const std::string by = value_of(ask.query, "by").value_or("model");
  for (std::string_view rest = by; !rest.empty();) {
    const std::string_view name = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    const auto column = store::usage_column(name);
    if (!column) {
      return not_valid("by",
                       "some of tenant, key, model, engine, route, status, cache and one of "
                       "hour, day, month");
    }
    question.by.push_back(*column);
  }
  question.tenant = value_of(ask.query, "tenant");
  question.key = value_of(ask.query, "key");
  question.model = value_of(ask.query, "model");
  question.engine = value_of(ask.query, "engine");
  question.route = value_of(ask.query, "route");
  question.cache = value_of(ask.query, "cache");
  if (const auto status = value_of(ask.query, "status")) {
    const auto number = settings::parse_integer(*status);
    if (!number || *number > 999) return not_valid("status", "a status such as 200");
    question.status = static_cast<std::int32_t>(*number);
  }
  if (const auto percentiles = value_of(ask.query, "percentiles")) {
    const auto wanted = settings::parse_boolean(*percentiles);
    if (!wanted) return not_valid("percentiles", "true or false");
    question.percentiles = *wanted;
  }
  question.most = kPage;
  if (const auto limit = value_of(ask.query, "limit")) {
    const auto number = settings::parse_integer(*limit);
    if (!number || *number == 0 || *number > kMostPage) {
      return not_valid("limit", "a whole number from 1 to 1000");
    }
    question.most = *number;
  }
  question.after = value_of(ask.query, "after").value_or("");
  return question;
}

void write_sums(dialect::JsonWriter& json, const store::UsageQuestion& question,
                const store::UsageSums& sums) {
  json.begin_object();
  for (std::size_t i = 0; i < question.by.size() && i < sums.group.size(); ++i) {
    json.member(store::name_of(question.by[i]), sums.group[i]);
  }
  json.member("requests", sums.count).member("errors", sums.errors).member("hits", sums.hits);
  json.key("tokens").begin_object();
  json.member("input", sums.tokens.input).member("output", sums.tokens.output);
  json.member("cached_input", sums.tokens.cached_input).member("reasoning", sums.tokens.reasoning);
  json.member("saved", sums.saved);
  json.end_object();
  json.member_raw("cost", amount_text(sums.cost));
  json.member("duration_ms", sums.duration_us / 1000).member("engine_ms", sums.engine_us / 1000);
  if (sums.first_token_us) {
    json.member("first_token_ms", *sums.first_token_us / 1000);
  } else {
    json.member_null("first_token_ms");
  }
  if (sums.judged > 0) {
    json.member("complexity", sums.complexity);
  } else {
    json.member_null("complexity");
  }
  if (question.percentiles) {
    if (sums.duration_p95_us) {
      json.member("duration_p95_ms", static_cast<double>(*sums.duration_p95_us) / 1000);
    } else {
      json.member_null("duration_p95_ms");
    }
  }
  json.end_object();
}

// RFC 4180; what a spreadsheet would take for a formula is made text.
void append_cell(std::string& out, std::string_view cell) {
  const bool formula =
      !cell.empty() && std::string_view("=+-@\t\r").find(cell.front()) != std::string_view::npos;
  if (!formula && cell.find_first_of(",\"\r\n") == cell.npos) {
    out += cell;
    return;
  }
  out += formula ? "\"'" : "\"";
  for (const char c : cell) {
    out += c;
    if (c == '"') out += c;
  }
  out += '"';
}

std::string csv_head(const store::UsageQuestion& question) {
  std::string out;
  for (const store::UsageColumn column : question.by) {
    out += store::name_of(column);
    out += ',';
  }
  out +=
      "requests,errors,input_tokens,output_tokens,cached_input_tokens,reasoning_tokens,hits,saved_"
      "tokens,cost,"
      "duration_ms,engine_ms,first_token_ms,complexity";
  if (question.percentiles) out += ",duration_p95_ms";
  return out + "\r\n";
}

void append_line(std::string& out, const store::UsageQuestion& question,
                 const store::UsageSums& sums) {
  for (const std::string& cell : sums.group) {
    append_cell(out, cell);
    out += ',';
  }
  out += fmt::format("{},{},{},{},{},{},{},{},{},{},{},", sums.count, sums.errors,
                     sums.tokens.input, sums.tokens.output, sums.tokens.cached_input,
                     sums.tokens.reasoning, sums.hits, sums.saved, amount_text(sums.cost),
                     sums.duration_us / 1000, sums.engine_us / 1000);
  if (sums.first_token_us) out += fmt::format("{}", *sums.first_token_us / 1000);
  out += ',';
  if (sums.judged > 0) out += fmt::format("{}", sums.complexity);
  if (question.percentiles) {
    out += ',';
    if (sums.duration_p95_us) {
      out += fmt::format("{}", static_cast<double>(*sums.duration_p95_us) / 1000);
    }
  }
  out += "\r\n";
}

// A question that contradicts itself is the client's; the rest is the database's.
Answer not_answered(const store::UsageQuestion& question, const Error& error) {
  if (error.kind != Kind::invalid) return RecordsRoom::failed(error);
  if (!question.after.empty()) {
    return refused(not_valid("after", "what `more` of an answer to the same question was"));
  }
  return refused(not_valid("by", "each column once, and one of hour, day, month at most"));
}

}  // namespace

Task<Answer> RecordsRoom::usage(Ask ask, Deadline& deadline) {
  const Result<bool, Refusal> csv = wants_csv(ask);
  if (!csv) co_return refused(csv.error());
  Result<store::UsageQuestion, Refusal> question = question_of(ask);
  if (!question) co_return refused(question.error());
  if (*csv) {
    std::string out = csv_head(*question);
    question->most = kMostPage;
    for (std::size_t page = 0; page < kMostCsvPages; ++page) {
      Result<store::UsageReport> report =
          co_await store::usage(lent_.database, *question, deadline);
      if (!report) co_return not_answered(*question, report.error());
      for (const store::UsageSums& sums : report->groups) append_line(out, *question, sums);
      if (report->more.empty()) co_return Answer{200, std::move(out), "text/csv", std::nullopt};
      question->after = report->more;
    }
    // Half a table would pass for a whole one.
    co_return refused(
        not_valid("by", "columns that give at most 100000 groups, or a shorter time"));
  }
  Result<store::UsageReport> report = co_await store::usage(lent_.database, *question, deadline);
  if (!report) co_return not_answered(*question, report.error());
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object().member("from", time_text(access::from_us(question->from_us)));
  json.member("to", time_text(access::from_us(question->to_us))).key("by").begin_array();
  for (const store::UsageColumn column : question->by) json.value(store::name_of(column));
  json.end_array().key("groups").begin_array();
  for (const store::UsageSums& sums : report->groups) write_sums(json, *question, sums);
  json.end_array();
  if (report->more.empty()) {
    json.member_null("more");
  } else {
    json.member("more", report->more);
  }
  json.end_object();
  co_return Answer{200, std::move(out), "application/json", std::nullopt};
}

Task<Answer> RecordsRoom::engagement(Ask ask, Deadline& deadline) {
  const Result<bool, Refusal> csv = wants_csv(ask);
  if (!csv) co_return refused(csv.error());
  const Result<Times, Refusal> times = times_of(ask);
  if (!times) co_return refused(times.error());
  store::EngagementQuestion question;
  question.from_us = access::to_us(times->from);
  question.to_us = access::to_us(times->to);
  question.tenant = value_of(ask.query, "tenant");
  Result<std::vector<store::EngagementSums>> sums =
      co_await store::engagement(lent_.database, std::move(question), deadline);
  if (!sums) co_return failed(sums.error());
  std::string out;
  if (*csv) {
    out = "day,users,sessions,questions,in_sessions,abandoned,up,down\r\n";
    for (const store::EngagementSums& one : *sums) {
      out += fmt::format("{},{},{},{},{},{},{},{}\r\n", one.day, one.users, one.sessions,
                         one.questions, one.in_sessions, one.abandoned, one.up, one.down);
    }
    co_return Answer{200, std::move(out), "text/csv", std::nullopt};
  }
  dialect::JsonWriter json(out);
  json.begin_object().member("from", time_text(times->from)).member("to", time_text(times->to));
  json.key("sums").begin_array();
  for (const store::EngagementSums& one : *sums) {
    json.begin_object();
    if (one.day.empty()) {
      json.member_null("day");
    } else {
      json.member("day", one.day);
    }
    json.member("users", one.users).member("sessions", one.sessions);
    json.member("questions", one.questions).member("in_sessions", one.in_sessions);
    json.member("abandoned", one.abandoned).member("up", one.up).member("down", one.down);
    json.end_object();
  }
  json.end_array().end_object();
  co_return Answer{200, std::move(out), "application/json", std::nullopt};
}

}  // namespace penstock::admin
