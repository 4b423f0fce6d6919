#include "app/usage_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "app/exit_codes.h"
#include "app/help.h"
#include "app/shown.h"
#include "app/usage_shown.h"
#include "settings/text.h"
#include "store/engagement.h"
#include "store/usage.h"

namespace penstock::app {
namespace {

constexpr const char* kName = "penstock usage";
constexpr std::array<std::string_view, 10> kColumns = {
    "tenant", "key", "model", "engine", "route", "status", "cache", "hour", "day", "month"};
constexpr std::array<std::string_view, 3> kFormats = {"table", "csv", "json"};

std::optional<UsageFormat> format_of(std::string_view text) {
  for (std::size_t i = 0; i < kFormats.size(); ++i) {
    if (kFormats[i] == text) return static_cast<UsageFormat>(i);
  }
  return std::nullopt;
}

// What the options say, or an exit code, once it was said why.
struct Asked {
  store::UsageQuestion question;
  UsageView view;
  UsageFormat format = UsageFormat::table;
};

int read_columns(const UsageOptions& options, Asked& asked) {
  std::string_view rest = options.by;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    const std::optional<store::UsageColumn> column = store::usage_column(word);
    if (!column) {
      const auto near = settings::nearest(word, kColumns);
      return bad_usage(kName, fmt::format("--by cannot be \"{}\"; it is of {}{}", visible(word),
                                          fmt::join(kColumns, ", "),
                                          near ? fmt::format("; did you mean {}?", *near) : ""));
    }
    if (std::find(asked.question.by.begin(), asked.question.by.end(), *column) !=
        asked.question.by.end()) {
      return bad_usage(kName, fmt::format("--by names {} twice", word));
    }
    asked.question.by.push_back(*column);
    asked.view.by.emplace_back(word);
  }
  const auto times = std::count_if(
      asked.question.by.begin(), asked.question.by.end(), [](store::UsageColumn column) {
        return column == store::UsageColumn::hour || column == store::UsageColumn::day ||
               column == store::UsageColumn::month;
      });
  if (times > 1) return bad_usage(kName, "--by takes one of hour, day and month");
  return kGood;
}

int read_times(const UsageOptions& options, WallTime now, Asked& asked) {
  const auto now_us = std::chrono::floor<std::chrono::microseconds>(now).time_since_epoch().count();
  std::int64_t& from = asked.question.from_us;
  std::int64_t& to = asked.question.to_us;
  from = options.today ? day_of(now) : month_of(now);
  to = now_us + 1;  // what was just recorded is in it
  const auto read = [&](const char* option, const std::optional<std::string>& text,
                        std::int64_t& into) {
    if (!text) return kGood;
    const std::optional<std::int64_t> moment = parse_moment(*text, now);
    if (!moment) {
      return bad_usage(kName, fmt::format("{} takes a day (2026-11-27), a month (2026-11), a time "
                                          "(2026-11-27T04:30) or how long ago (24h, 7d), not "
                                          "\"{}\"",
                                          option, visible(*text)));
    }
    into = *moment;
    return kGood;
  };
  if (const int code = read("--since", options.since, from); code != kGood) return code;
  if (const int code = read("--until", options.until, to); code != kGood) return code;
  if (to < from) {
    return bad_usage(kName, fmt::format("the time ends ({}) before it begins ({})", moment_text(to),
                                        moment_text(from)));
  }
  asked.view.from_us = from;
  asked.view.to_us = to;
  return kGood;
}

int read_options(const UsageOptions& options, WallTime now, Asked& asked) {
  if (!options.what.empty() && options.what != "engagement") {
    return bad_usage(
        kName, fmt::format("WHAT cannot be \"{}\"; it can be engagement", visible(options.what)));
  }
  const std::optional<UsageFormat> format = format_of(options.format);
  if (!format) {
    return bad_usage(kName, fmt::format("--format cannot be \"{}\"; it can be {}",
                                        visible(options.format), settings::either(kFormats)));
  }
  asked.format = *format;
  asked.view.percentiles = asked.question.percentiles = options.percentiles;
  if (const int code = read_columns(options, asked); code != kGood) return code;
  if (const int code = read_times(options, now, asked); code != kGood) return code;
  if (options.status) {
    std::int32_t status = 0;
    const char* const end = options.status->data() + options.status->size();
    const auto [at, ec] = std::from_chars(options.status->data(), end, status);
    if (ec != std::errc() || at != end || status < 100 || status > 599) {
      return bad_usage(kName, fmt::format("--status takes a status such as 200, not \"{}\"",
                                          visible(*options.status)));
    }
    asked.question.status = status;
  }
  asked.question.tenant = options.tenant;
  asked.question.key = options.key;
  asked.question.model = options.model;
  asked.question.engine = options.engine;
  asked.question.route = options.route;
  asked.question.cache = options.cache;
  return kGood;
}

int print_usage(store::Database& database, Asked asked) {
  // By the cache's level too, last: what engines did and what the cache saved are told apart.
  const bool by_cache = std::find(asked.question.by.begin(), asked.question.by.end(),
                                  store::UsageColumn::cache) != asked.question.by.end();
  if (by_cache) {
    // As it comes from the database it is the last anyway.
    std::erase(asked.question.by, store::UsageColumn::cache);
    std::erase(asked.view.by, "cache");
    asked.view.by.emplace_back("cache");
  }
  asked.question.by.push_back(store::UsageColumn::cache);
  UsageLines lines(by_cache);
  do {
    const Result<store::UsageReport> report = store::wait(
        kStorePatience, [&](Deadline& d) { return store::usage(database, asked.question, d); });
    if (!report) return store_failed(kName, report.error());
    for (const store::UsageSums& sums : report->groups) lines.add(sums);
    asked.question.after = report->more;
  } while (!asked.question.after.empty());
  return print_page(kName, show_usage(asked.view, lines, asked.format));
}

int print_engagement(store::Database& database, const Asked& asked) {
  const store::EngagementQuestion question{asked.question.from_us, asked.question.to_us,
                                           asked.question.tenant};
  const auto sums = store::wait(
      kStorePatience, [&](Deadline& d) { return store::engagement(database, question, d); });
  if (!sums) return store_failed(kName, sums.error());
  return print_page(kName, show_engagement(asked.view, *sums, asked.format));
}

}  // namespace

void add_usage_options(CLI::App& app, UsageOptions& options) {
  app.footer(
      "Times are of UTC. Without one it is this month. Tokens and cost are those of the engines;\n"
      "`saved` are tokens that the cache answered. What a gateway has just done is there after a\n"
      "second; with SQLite the command reads beside the running gateway.\n"
      "\n"
      "Examples:\n"
      "  penstock usage                                    this month, by model\n"
      "  penstock usage --by tenant,model --today\n"
      "  penstock usage --by day --since 2026-11-01 --until 2026-12-01 --format csv > "
      "november.csv\n"
      "  penstock usage --by key --tenant acme --since 7d\n"
      "  penstock usage engagement --since 7d              users, sessions, what they said\n");
  app.add_option("WHAT", options.what, "`engagement`: how people used it, by day");
  app.add_option("--by", options.by,
                 "What to sum by, in this order: tenant, key, model, engine, route, status, cache, "
                 "and one of hour, day, month; \"\" for one sum")
      ->type_name("COLUMNS")
      ->capture_default_str();
  auto* const since =
      app.add_option("--since", options.since, "From this time on")->type_name("TIME");
  auto* const until =
      app.add_option("--until", options.until, "Up to this time, not included")->type_name("TIME");
  auto* const today = app.add_flag("--today", options.today, "Since midnight");
  app.add_flag("--month", options.month, "Since the first of the month")
      ->excludes(since, until, today);
  today->excludes(since, until);
  app.add_option("--tenant", options.tenant, "Of this tenant only")->type_name("NAME");
  app.add_option("--key", options.key, "Of this key only")->type_name("ID");
  app.add_option("--model", options.model, "Of this model only")->type_name("NAME");
  app.add_option("--engine", options.engine, "Of this engine only")->type_name("NAME");
  app.add_option("--route", options.route, "chat, completions, embeddings, models or other")
      ->type_name("NAME");
  app.add_option("--status", options.status, "Of this status only; 499: the client left")
      ->type_name("N");
  app.add_option("--cache", options.cache, "memory, redis, semantic, coalesced, miss or bypass")
      ->type_name("NAME");
  app.add_flag("--p95", options.percentiles, "With the 95th percentile of durations; slower");
  app.add_option("--format", options.format, "table, csv or json")
      ->type_name("FORMAT")
      ->capture_default_str();
  add_store_options(app, options.where);
}

int usage_command(const UsageOptions& options) {
  Asked asked;
  const int read = read_options(options, std::chrono::system_clock::now(), asked);
  if (read != kGood) return read;
  int code = kGood;
  const std::unique_ptr<OpenStore> opened =
      OpenStore::open(kName, options.where, Tables::need, code);
  if (opened == nullptr) return code;
  return options.what.empty() ? print_usage(opened->database(), std::move(asked))
                              : print_engagement(opened->database(), asked);
}

}  // namespace penstock::app
