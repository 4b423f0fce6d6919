#include "store/usage.h"

#include <algorithm>
#include <map>

#include "store/usage_sql.h"

namespace penstock::store {
namespace {

constexpr std::int64_t kDay = 86'400'000'000;
constexpr std::size_t kMostGroups = 10'000;
constexpr std::size_t kGroupColumns = 8;  // time, tenant, key, model, engine, route, status, cache
constexpr std::size_t kStatusAt = 6;

constexpr std::array<std::string_view, 10> kNames = {"tenant", "key",   "model", "engine", "route",
                                                     "status", "cache", "hour",  "day",    "month"};

constexpr Statement kSums = {"usage_sums", PENSTOCK_SUMS(PENSTOCK_MONTH_POSTGRES, ""),
                             PENSTOCK_SUMS(PENSTOCK_MONTH_SQLITE, ""), true};
constexpr Statement kSumsOfTenant = {
    "usage_sums_tenant", PENSTOCK_SUMS(PENSTOCK_MONTH_POSTGRES, PENSTOCK_BY_TENANT),
    PENSTOCK_SUMS(PENSTOCK_MONTH_SQLITE, PENSTOCK_BY_TENANT), true};
constexpr Statement kSumsOfKey = {"usage_sums_key",
                                  PENSTOCK_SUMS(PENSTOCK_MONTH_POSTGRES, PENSTOCK_BY_KEY),
                                  PENSTOCK_SUMS(PENSTOCK_MONTH_SQLITE, PENSTOCK_BY_KEY), true};
constexpr Statement kPercentiles = {"usage_p95", PENSTOCK_PERCENTILES(PENSTOCK_MONTH_POSTGRES, ""),
                                    PENSTOCK_PERCENTILES(PENSTOCK_MONTH_SQLITE, ""), true};
constexpr Statement kPercentilesOfTenant = {
    "usage_p95_tenant", PENSTOCK_PERCENTILES(PENSTOCK_MONTH_POSTGRES, PENSTOCK_BY_TENANT),
    PENSTOCK_PERCENTILES(PENSTOCK_MONTH_SQLITE, PENSTOCK_BY_TENANT), true};
constexpr Statement kPercentilesOfKey = {
    "usage_p95_key", PENSTOCK_PERCENTILES(PENSTOCK_MONTH_POSTGRES, PENSTOCK_BY_KEY),
    PENSTOCK_PERCENTILES(PENSTOCK_MONTH_SQLITE, PENSTOCK_BY_KEY), true};

constexpr Statement kSpend = {"spend", PENSTOCK_SPEND(""), {}, true};
constexpr Statement kSpendOfTenant = {"spend_tenant", PENSTOCK_SPEND("tenant = $1 AND "), {}, true};
constexpr Statement kSpendOfKey = {"spend_key", PENSTOCK_SPEND("key = $1 AND "), {}, true};
constexpr Statement kSpendOfModel = {"spend_model", PENSTOCK_SPEND("model = $1 AND "), {}, true};

constexpr std::array kStatements = {&kSums,        &kSumsOfTenant,        &kSumsOfKey,
                                    &kPercentiles, &kPercentilesOfTenant, &kPercentilesOfKey,
                                    &kSpend,       &kSpendOfTenant,       &kSpendOfKey,
                                    &kSpendOfModel};

// Days that begin at or behind a time.
std::int64_t first_day(std::int64_t time_us) { return (time_us + kDay - 1) / kDay; }

std::int64_t number(const Value& value) {
  if (const auto* const whole = std::get_if<std::int64_t>(&value)) return *whole;
  if (const auto* const real = std::get_if<double>(&value)) return static_cast<std::int64_t>(*real);
  return 0;
}
double real(const Value& value) {
  const auto* const real = std::get_if<double>(&value);
  return real != nullptr ? *real : static_cast<double>(number(value));
}
std::uint64_t count(const Value& value) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(number(value), 0));
}
std::string text(const Value& value) {
  const auto* const string = std::get_if<std::string>(&value);
  return string != nullptr ? *string : std::string();
}

// ---- cursors: the group that was last, its parts divided by NUL, in hexadecimal ----------------

std::string cursor_of(const Values& row) {
  std::string raw;
  for (std::size_t i = 0; i < kGroupColumns; ++i) {
    raw += i == 0 || i == kStatusAt ? std::to_string(number(row[i])) : text(row[i]);
    raw += '\0';
  }
  std::string out;
  for (const char c : raw) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::optional<std::int64_t> whole_number(std::string_view digits) {
  std::int64_t value = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (ec != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::optional<Values> group_of(std::string_view cursor) {
  if (cursor.empty()) {
    Values first(kGroupColumns, Value(std::string()));
    first[0] = std::int64_t{-1};
    first[kStatusAt] = std::int64_t{0};
    return first;
  }
  Values out;
  std::string part;
  for (std::size_t i = 0; i + 1 < cursor.size(); i += 2) {
    unsigned byte = 0;
    const char* const end = cursor.data() + i + 2;
    if (std::from_chars(cursor.data() + i, end, byte, 16).ptr != end) return std::nullopt;
    if (byte != 0) {
      part += static_cast<char>(byte);
      continue;
    }
    if (out.empty() || out.size() == kStatusAt) {
      const std::optional<std::int64_t> value = whole_number(part);
      if (!value) return std::nullopt;
      out.emplace_back(*value);
    } else {
      out.emplace_back(part);
    }
    part.clear();
  }
  if (!part.empty() || out.size() != kGroupColumns) return std::nullopt;
  return out;
}

// ---- questions and answers ---------------------------------------------------------------------

bool has(const UsageQuestion& question, UsageColumn column) {
  return std::find(question.by.begin(), question.by.end(), column) != question.by.end();
}

Values values_of(const UsageQuestion& question, std::int64_t most, const Values& behind) {
  Values out;
  for (const UsageColumn column :
       {UsageColumn::tenant, UsageColumn::key, UsageColumn::model, UsageColumn::engine,
        UsageColumn::route, UsageColumn::status, UsageColumn::cache}) {
    out.emplace_back(std::int64_t{has(question, column)});
  }
  out.emplace_back(std::int64_t{has(question, UsageColumn::hour)    ? 1
                                : has(question, UsageColumn::day)   ? 2
                                : has(question, UsageColumn::month) ? 3
                                                                    : 0});
  out.emplace_back(question.from_us);
  out.emplace_back(question.to_us);
  out.emplace_back(first_day(question.from_us));
  out.emplace_back(first_day(question.to_us));
  const auto filter = [&](const std::optional<std::string>& wanted) {
    out.push_back(wanted ? Value(*wanted) : Value());
  };
  filter(question.tenant);
  filter(question.key);
  filter(question.model);
  filter(question.engine);
  filter(question.route);
  out.push_back(question.status ? Value(std::int64_t{*question.status}) : Value());
  filter(question.cache);
  out.emplace_back(most);
  out.insert(out.end(), behind.begin(), behind.end());
  return out;
}

std::string time_text(UsageColumn unit, std::int64_t time) {
  using namespace std::chrono;
  if (unit == UsageColumn::month) return fmt::format("{:04}-{:02}", time / 12, time % 12 + 1);
  const year_month_day date(sys_days(days(unit == UsageColumn::hour ? time / 24 : time)));
  std::string out =
      fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  if (unit == UsageColumn::hour) out += fmt::format("T{:02}", time % 24);
  return out;
}

std::string group_text(UsageColumn column, const Values& row) {
  switch (column) {
    case UsageColumn::hour:
    case UsageColumn::day:
    case UsageColumn::month: return time_text(column, number(row[0]));
    case UsageColumn::status: return std::to_string(number(row[kStatusAt]));
    case UsageColumn::cache: return text(row[kStatusAt + 1]);
    default: return text(row[1 + static_cast<std::size_t>(column)]);
  }
}

UsageSums sums_of(const UsageQuestion& question, const Values& row) {
  UsageSums out;
  for (const UsageColumn column : question.by) out.group.push_back(group_text(column, row));
  const auto at = [&](std::size_t i) -> const Value& { return row[kGroupColumns + i]; };
  out.count = count(at(0));
  out.errors = count(at(1));
  out.tokens = Usage{count(at(2)), count(at(3)), count(at(4)), count(at(5))};
  out.cost = number(at(6));
  if (out.count > 0) {
    out.duration_us = static_cast<double>(number(at(7))) / static_cast<double>(out.count);
    out.engine_us = static_cast<double>(number(at(8))) / static_cast<double>(out.count);
  }
  if (const std::uint64_t firsts = count(at(10)); firsts > 0) {
    out.first_token_us = static_cast<double>(number(at(9))) / static_cast<double>(firsts);
  }
  out.hits = count(at(11));
  out.saved = count(at(12));
  out.judged = count(at(14));
  if (out.judged > 0) out.complexity = real(at(13)) / static_cast<double>(out.judged);
  return out;
}

std::optional<Error> contradiction(const UsageQuestion& question) {
  const auto invalid = [](std::string why) {
    return Error{Kind::invalid, Source::client, false, std::move(why)};
  };
  if (question.from_us < 0 || question.to_us < question.from_us) {
    return invalid("the time ends before it begins");
  }
  const int times = (has(question, UsageColumn::hour) ? 1 : 0) +
                    (has(question, UsageColumn::day) ? 1 : 0) +
                    (has(question, UsageColumn::month) ? 1 : 0);
  if (times > 1) return invalid("usage is grouped by one of hour, day and month");
  if (question.most == 0 || question.most > kMostGroups) {
    return invalid("an answer has 1 to " + std::to_string(kMostGroups) + " groups");
  }
  return std::nullopt;
}

// Which index leads to the fewest rows.
const Statement& choose(const UsageQuestion& question, const Statement* of_key,
                        const Statement* of_tenant, const Statement* of_time) {
  if (question.key) return *of_key;
  return question.tenant ? *of_tenant : *of_time;
}

}  // namespace

std::optional<UsageColumn> usage_column(std::string_view name) {
  const auto* const at = std::find(kNames.begin(), kNames.end(), name);
  if (at == kNames.end()) return std::nullopt;
  return static_cast<UsageColumn>(at - kNames.begin());
}

std::string_view name_of(UsageColumn column) { return kNames[static_cast<std::size_t>(column)]; }

Task<Result<UsageReport>> usage(Database& database, UsageQuestion question, Deadline& deadline) {
  if (std::optional<Error> wrong = contradiction(question)) co_return *std::move(wrong);
  const std::optional<Values> behind = group_of(question.after);
  if (!behind) {
    co_return Error{Kind::invalid, Source::client, false, "`after` is no cursor of this program"};
  }
  const auto most = static_cast<std::int64_t>(question.most);
  Values values = values_of(question, most + 1, *behind);
  const Statement& sums = choose(question, &kSumsOfKey, &kSumsOfTenant, &kSums);
  Result<Rows> got = co_await database.read(sums, values, Mark(), deadline);
  if (!got) co_return got.error();

  UsageReport report;
  std::map<std::string, std::size_t> places;  // of the groups, for the percentiles
  for (const Values& row : got->rows) {
    if (row.size() < kGroupColumns + 15) continue;
    if (report.groups.size() == question.most) {
      report.more = cursor_of(got->rows[question.most - 1]);
      break;
    }
    places.emplace(cursor_of(row), report.groups.size());
    report.groups.push_back(sums_of(question, row));
  }
  if (!question.percentiles || report.groups.empty()) co_return report;

  values = values_of(question, most, *behind);
  const Statement& percentiles =
      choose(question, &kPercentilesOfKey, &kPercentilesOfTenant, &kPercentiles);
  Result<Rows> ranked = co_await database.read(percentiles, std::move(values), Mark(), deadline);
  if (!ranked) co_return ranked.error();
  for (const Values& row : ranked->rows) {
    if (row.size() < kGroupColumns + 1) continue;
    const auto at = places.find(cursor_of(row));
    if (at != places.end()) report.groups[at->second].duration_p95_us = number(row[kGroupColumns]);
  }
  co_return report;
}

Task<Result<Nano>> spend(Database& database, SpendOf of, std::string name, std::int64_t from_us,
                         std::int64_t to_us, Deadline& deadline) {
  const Statement* statement = &kSpend;
  switch (of) {
    case SpendOf::all: break;
    case SpendOf::tenant: statement = &kSpendOfTenant; break;
    case SpendOf::key: statement = &kSpendOfKey; break;
    case SpendOf::model: statement = &kSpendOfModel; break;
  }
  Values values = {std::move(name), from_us, to_us, first_day(from_us), first_day(to_us)};
  Result<Rows> got = co_await database.read(*statement, std::move(values), Mark(), deadline);
  if (!got) co_return got.error();
  co_return got->rows.empty() ? Nano{0} : number(got->rows.front().front());
}

Part usage_statements() { return kStatements; }

}  // namespace penstock::store
