// The performance budgets, for the admin API: as they stand, or a month of them out of the store.
#include <algorithm>

#include "admin/records.h"
#include "admin/words.h"
#include "exchange/refusals.h"
#include "settings/budgets.h"
#include "store/budgets.h"

namespace penstock::admin {
namespace {

using Answer = RecordsRoom::Answer;
using budget::Count;
using budget::Objective;

constexpr std::int64_t kDay = 1440;  // minutes

std::string_view name_of(settings::BudgetAlert alert) {
  if (alert == settings::BudgetAlert::none) return "none";
  return alert == settings::BudgetAlert::ticket ? "ticket" : "page";
}

// What was good of what was counted; null where nothing was.
void write_ratio(dialect::JsonWriter& json, std::string_view name, const Count& count) {
  if (count.total == 0) {
    json.member_null(name);
  } else {
    json.member(name, static_cast<double>(count.good) / static_cast<double>(count.total));
  }
}

void write_count(dialect::JsonWriter& json, const Count& count, double share) {
  json.member("good", count.good).member("total", count.total);
  write_ratio(json, "ratio", count);
  json.member("burn_rate", budget::burn_rate(count, share));
  json.member("met", budget::burn_rate(count, share) <= 1);
}

void write_promise(dialect::JsonWriter& json, const Objective& one) {
  json.member("name", one.name).member("of", settings::name_of(one.of));
  json.member("target", one.target());
  if (one.of == budget::Of::throughput) {
    json.member_null("objective");
  } else {
    json.member("objective", one.share);
  }
  json.member("live", one.live).member("alert", name_of(one.alert));
}

std::string standing(const budget::Account& account) {
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object().key("budgets").begin_array();
  const std::vector<budget::Account::Counts> standings = account.standings();
  for (std::size_t i = 0; i < standings.size(); ++i) {
    const Objective& one = account.objectives()[i];
    json.begin_object();
    write_promise(json, one);
    if (!one.live) {
      json.end_object();
      continue;
    }
    json.key("windows").begin_object();
    for (std::size_t w = 0; w < budget::kWindows.size(); ++w) {
      json.key(budget::kWindows[w].name).begin_object();
      write_count(json, standings[i][w], one.share);
      json.end_object();
    }
    json.end_object();
    json.member("remaining_ratio",
                1 - budget::burn_rate(standings[i][budget::kLongest], one.share));
    json.end_object();
  }
  json.end_array().end_object();
  return out;
}

// ---- a month ------------------------------------------------------------------------------------

struct Month {
  std::int64_t from = 0;  // minutes since 1970
  std::int64_t to = 0;
};

std::int64_t minutes_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::minutes>(time.time_since_epoch()).count();
}

std::optional<Month> month_of(const std::string& text, WallTime now) {
  if (text.size() != 7) return std::nullopt;
  const auto begin = moment_of(text + "-01", now);
  if (!begin) return std::nullopt;
  const std::chrono::year_month_day first(std::chrono::floor<std::chrono::days>(*begin));
  const std::chrono::sys_days next(first + std::chrono::months(1));
  return Month{minutes_of(*begin), minutes_of(next)};
}

std::string day_text(std::int64_t minute) {
  return time_text(WallTime(std::chrono::minutes(minute))).substr(0, 10);
}

void write_month_of(dialect::JsonWriter& json, const Objective& one,
                    const std::vector<store::BudgetCount>& days) {
  const std::string measure = one.measure();
  Count all, worst;
  std::int64_t worst_day = 0;
  for (const store::BudgetCount& day : days) {
    if (day.measure != measure) continue;
    const Count count{static_cast<std::uint64_t>(day.good), static_cast<std::uint64_t>(day.total)};
    all += count;
    if (worst.total == 0 ||
        budget::burn_rate(count, one.share) > budget::burn_rate(worst, one.share)) {
      worst = count;
      worst_day = day.minute;
    }
  }
  write_count(json, all, one.share);
  json.member("remaining_ratio", 1 - budget::burn_rate(all, one.share));
  if (worst.total == 0) {
    json.member_null("worst_day");
    return;
  }
  json.key("worst_day").begin_object().member("day", day_text(worst_day));
  write_count(json, worst, one.share);
  json.end_object();
}

}  // namespace

// GET /admin/v1/budgets
Task<Answer> RecordsRoom::budgets(Ask ask, Deadline& deadline) {
  const auto given = ask.query.find("month");
  if (given == ask.query.end()) {
    co_return Answer{200, standing(house_.budgets), "application/json", std::nullopt};
  }
  const std::optional<Month> month = month_of(given->second, ask.now);
  if (!month) {
    Refusal bad = refusal(Reason::invalid_value,
                          "Invalid 'month': expected a month such as 2027-01.", "month");
    co_return Answer{bad.status, {}, "application/json", std::move(bad)};
  }
  // Of all processes: none writes as "".
  Result<std::vector<store::BudgetCount>> days = co_await store::read_budgets(
      lent_.database, std::string(), month->from, month->to, kDay, deadline);
  if (!days) co_return failed(days.error());
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object().member("month", given->second);
  json.member("complete", month->to <= minutes_of(ask.now)).key("budgets").begin_array();
  for (const Objective& one : house_.budgets.objectives()) {
    json.begin_object();
    write_promise(json, one);
    if (one.live) write_month_of(json, one, *days);
    json.end_object();
  }
  json.end_array().end_object();
  co_return Answer{200, std::move(out), "application/json", std::nullopt};
}

}  // namespace penstock::admin
