#include "app/usage_shown.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "app/shown.h"
#include "dialect/json.h"
#include "settings/values.h"

namespace penstock::app {
namespace {

using std::chrono::microseconds;

std::int64_t us(std::chrono::sys_time<microseconds> time) {
  return time.time_since_epoch().count();
}

// Takes a number of so many digits from the front.
std::optional<unsigned> take_number(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  unsigned number = 0;
  const char* const end = text.data() + digits;
  const auto [at, ec] = std::from_chars(text.data(), end, number);
  if (ec != std::errc() || at != end) return std::nullopt;
  text.remove_prefix(digits);
  return number;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// ---- cells -------------------------------------------------------------------------------------

// Exact: 27000 billionths are "0.000027"; at least two digits behind the point.
std::string money(Nano nano) {
  const bool negative = nano < 0;
  const auto value =
      negative ? 0 - static_cast<std::uint64_t>(nano) : static_cast<std::uint64_t>(nano);
  std::string text =
      fmt::format("{}{}.{:09}", negative ? "-" : "", value / 1'000'000'000, value % 1'000'000'000);
  while (text.ends_with('0') && text[text.size() - 3] != '.') text.pop_back();
  return text;
}

std::string milliseconds(double duration_us) { return fmt::format("{:.1f}", duration_us / 1000); }

std::string milliseconds(const std::optional<double>& duration_us) {
  return duration_us ? milliseconds(*duration_us) : std::string();
}

using Row = std::vector<std::string>;

// The first `left` columns are names, the others numbers. Empty cells of a name are a dash.
std::string table(const std::vector<Row>& rows, std::size_t left) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  const auto cell = [&](const Row& row, std::size_t i) {
    return row[i].empty() ? std::string("-") : visible(row[i]);
  };
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], cell(row, i).size());
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      line += i < left ? fmt::format("{:<{}}", cell(row, i), widths[i])
                       : fmt::format("{:>{}}", cell(row, i), widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

// RFC 4180. A text that a spreadsheet would take for a formula begins with an apostrophe.
std::string csv(const std::vector<Row>& rows, std::size_t left) {
  std::string out;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      std::string cell = row[i];
      if (i < left && !cell.empty() &&
          std::string_view("=+-@\t\r").find(cell[0]) != std::string_view::npos) {
        cell.insert(0, 1, '\'');
      }
      if (cell.find_first_of("\",\r\n") != std::string::npos) {
        for (std::size_t at = 0; (at = cell.find('"', at)) != std::string::npos; at += 2) {
          cell.insert(at, 1, '"');
        }
        cell.insert(0, 1, '"').push_back('"');
      }
      out += (i > 0 ? "," : "") + cell;
    }
    out += "\r\n";
  }
  return out;
}

// ---- usage -------------------------------------------------------------------------------------

Row heads(const UsageView& view) {
  Row row = view.by;
  for (const char* name : {"requests", "hits", "errors", "input", "output", "cached", "reasoning",
                           "saved", "cost", "ms", "first_token_ms", "complexity"}) {
    row.emplace_back(name);
  }
  if (view.percentiles) row.emplace_back("p95_ms");
  return row;
}

Row row_of(const UsageView& view, const UsageLine& line) {
  Row row = line.group;
  for (const std::uint64_t number :
       {line.requests, line.hits, line.errors, line.tokens.input, line.tokens.output,
        line.tokens.cached_input, line.tokens.reasoning, line.saved}) {
    row.push_back(std::to_string(number));
  }
  row.push_back(money(line.cost));
  row.push_back(milliseconds(line.duration_us));
  row.push_back(milliseconds(line.first_token_us));
  row.push_back(line.judged > 0 ? fmt::format("{:.2f}", line.complexity) : std::string());
  if (view.percentiles) {
    row.push_back(line.duration_p95_us ? milliseconds(static_cast<double>(*line.duration_p95_us))
                                       : std::string());
  }
  return row;
}

void write(dialect::JsonWriter& json, const UsageView& view, const UsageLine& line) {
  json.begin_object();
  for (std::size_t i = 0; i < line.group.size(); ++i) json.key(view.by[i]).value(line.group[i]);
  json.key("requests").value(line.requests);
  json.key("hits").value(line.hits);
  json.key("errors").value(line.errors);
  json.key("tokens").begin_object();
  json.key("input").value(line.tokens.input);
  json.key("output").value(line.tokens.output);
  json.key("cached_input").value(line.tokens.cached_input);
  json.key("reasoning").value(line.tokens.reasoning);
  json.key("saved").value(line.saved);
  json.end_object();
  json.key("cost").value(money(line.cost));  // a text: exact
  json.key("duration_ms").value(line.duration_us / 1000);
  json.key("first_token_ms");
  line.first_token_us ? json.value(*line.first_token_us / 1000) : json.null();
  json.key("complexity");
  line.judged > 0 ? json.value(line.complexity) : json.null();
  if (view.percentiles) {
    json.key("duration_p95_ms");
    line.duration_p95_us ? json.value(static_cast<double>(*line.duration_p95_us) / 1000)
                         : json.null();
  }
  json.end_object();
}

void begin(dialect::JsonWriter& json, const UsageView& view) {
  json.begin_object();
  json.key("from").value(moment_text(view.from_us));
  json.key("to").value(moment_text(view.to_us));
}

}  // namespace

std::optional<std::int64_t> parse_moment(std::string_view text, WallTime now) {
  using namespace std::chrono;
  if (const auto back = settings::parse_duration(text)) {
    return us(floor<microseconds>(now)) - duration_cast<microseconds>(*back).count();
  }
  const std::optional<unsigned> y = take_number(text, 4);
  if (!y || !take(text, '-')) return std::nullopt;
  const std::optional<unsigned> m = take_number(text, 2);
  if (!m) return std::nullopt;
  unsigned d = 1;
  if (take(text, '-')) {
    const std::optional<unsigned> given = take_number(text, 2);
    if (!given) return std::nullopt;
    d = *given;
  } else if (!text.empty()) {
    return std::nullopt;
  }
  const year_month_day date(year(static_cast<int>(*y)), month(*m), day(d));
  if (!date.ok() || *y < 1970) return std::nullopt;
  seconds clock{};
  if (take(text, 'T')) {
    const std::optional<unsigned> h = take_number(text, 2);
    if (!h || *h > 23) return std::nullopt;
    clock += hours(*h);
    for (const int unit : {60, 1}) {
      if (!take(text, ':')) break;
      const std::optional<unsigned> part = take_number(text, 2);
      if (!part || *part > 59) return std::nullopt;
      clock += seconds(*part * static_cast<unsigned>(unit));
    }
    take(text, 'Z');
  }
  if (!text.empty()) return std::nullopt;
  return us(sys_days(date) + clock);
}

std::int64_t day_of(WallTime now) { return us(std::chrono::floor<std::chrono::days>(now)); }

std::int64_t month_of(WallTime now) {
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(now));
  return us(std::chrono::sys_days(date.year() / date.month() / 1));
}

std::string moment_text(std::int64_t time_us) {
  using namespace std::chrono;
  const sys_time<microseconds> time{microseconds(time_us)};
  const auto begun = floor<days>(time);
  const year_month_day date(begun);
  const hh_mm_ss clock(floor<seconds>(time - begun));
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

void UsageLines::add(const store::UsageSums& sums) {
  UsageLine line;
  line.group = sums.group;
  if (!keep_cache_) line.group.pop_back();
  line.requests = sums.count;
  line.errors = sums.errors;
  line.hits = sums.hits;
  line.saved = sums.saved;
  line.tokens = sums.tokens;
  line.cost = sums.cost;
  line.duration_us = sums.duration_us;
  line.first_token_us = sums.first_token_us;
  line.judged = sums.judged;
  line.complexity = sums.complexity;
  line.duration_p95_us = sums.duration_p95_us;
  if (!lines_.empty() && lines_.back().group == line.group) {
    add(lines_.back(), line);
  } else {
    lines_.push_back(std::move(line));
  }
}

void UsageLines::add(UsageLine& to, const UsageLine& more) {
  const auto weighted = [&](double a, double b) {
    const auto all = static_cast<double>(to.requests + more.requests);
    if (all == 0) return 0.0;
    return (a * static_cast<double>(to.requests) + b * static_cast<double>(more.requests)) / all;
  };
  to.duration_us = weighted(to.duration_us, more.duration_us);
  if (to.first_token_us && more.first_token_us) {
    to.first_token_us = weighted(*to.first_token_us, *more.first_token_us);
  } else if (more.first_token_us) {
    to.first_token_us = more.first_token_us;
  }
  if (const std::uint64_t all = to.judged + more.judged; all > 0) {
    to.complexity = (to.complexity * static_cast<double>(to.judged) +
                     more.complexity * static_cast<double>(more.judged)) /
                    static_cast<double>(all);
    to.judged = all;
  }
  to.duration_p95_us.reset();  // those of parts say nothing of the whole
  to.requests += more.requests;
  to.hits += more.hits;
  to.errors += more.errors;
  to.tokens.input += more.tokens.input;
  to.tokens.output += more.tokens.output;
  to.tokens.cached_input += more.tokens.cached_input;
  to.tokens.reasoning += more.tokens.reasoning;
  to.saved += more.saved;
  to.cost += more.cost;
}

UsageLine UsageLines::total() const {
  UsageLine sum;
  for (const UsageLine& line : lines_) add(sum, line);
  return sum;
}

std::string show_usage(const UsageView& view, const UsageLines& lines, UsageFormat format) {
  if (format == UsageFormat::json) {
    std::string out;
    dialect::JsonWriter json(out);
    begin(json, view);
    json.key("by").begin_array();
    for (const std::string& name : view.by) json.value(name);
    json.end_array();
    json.key("groups").begin_array();
    for (const UsageLine& line : lines.lines()) write(json, view, line);
    json.end_array();
    json.key("total");
    write(json, view, lines.total());
    json.end_object();
    return out + '\n';
  }
  std::vector<Row> rows = {heads(view)};
  for (const UsageLine& line : lines.lines()) rows.push_back(row_of(view, line));
  if (format == UsageFormat::csv) return csv(rows, view.by.size());
  if (!view.by.empty() && lines.lines().size() > 1) {
    UsageLine total = lines.total();
    total.group.assign(view.by.size(), "");
    total.group.front() = "total";
    rows.push_back(row_of(view, total));
  }
  return table(rows, view.by.size());
}

std::string show_engagement(const UsageView& view, const std::vector<store::EngagementSums>& sums,
                            UsageFormat format) {
  if (format == UsageFormat::json) {
    std::string out;
    dialect::JsonWriter json(out);
    begin(json, view);
    const auto write_sums = [&](const store::EngagementSums& one) {
      json.begin_object();
      if (!one.day.empty()) json.key("day").value(one.day);
      json.key("users").value(one.users).key("sessions").value(one.sessions);
      json.key("questions").value(one.questions).key("in_sessions").value(one.in_sessions);
      json.key("abandoned")
          .value(one.abandoned)
          .key("up")
          .value(one.up)
          .key("down")
          .value(one.down);
      json.end_object();
    };
    json.key("total");
    write_sums(sums.front());
    json.key("days").begin_array();
    for (std::size_t i = 1; i < sums.size(); ++i) write_sums(sums[i]);
    json.end_array();
    json.end_object();
    return out + '\n';
  }
  std::vector<Row> rows = {{"day", "users", "sessions", "questions", "in_sessions",
                            "questions_per_session", "abandoned", "up", "down"}};
  const auto row = [](const store::EngagementSums& one, std::string name) {
    return Row{std::move(name),
               std::to_string(one.users),
               std::to_string(one.sessions),
               std::to_string(one.questions),
               std::to_string(one.in_sessions),
               one.sessions == 0 ? std::string()
                                 : fmt::format("{:.1f}", static_cast<double>(one.in_sessions) /
                                                             static_cast<double>(one.sessions)),
               std::to_string(one.abandoned),
               std::to_string(one.up),
               std::to_string(one.down)};
  };
  for (std::size_t i = 1; i < sums.size(); ++i) rows.push_back(row(sums[i], sums[i].day));
  if (format == UsageFormat::csv) return csv(rows, 1);
  rows.push_back(row(sums.front(), "all"));
  return table(rows, 1);
}

}  // namespace penstock::app
