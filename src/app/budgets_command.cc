#include "app/budgets_command.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <simdjson.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/client.h"
#include "app/exit_codes.h"
#include "app/help.h"
#include "app/shown.h"
#include "budget/objective.h"
#include "budget/rules.h"
#include "http/url.h"
#include "settings/settings.h"

namespace penstock::app {
namespace {

constexpr const char* kName = "penstock budgets";
constexpr Duration kPatience = 30s;
constexpr std::string_view kBudgets = "/admin/v1/budgets";

using Element = simdjson::dom::element;
using Found = simdjson::simdjson_result<Element>;

std::string text(Found at) {
  std::string_view value;
  return at.get(value) == simdjson::SUCCESS ? visible(value) : std::string();
}

std::optional<double> number(Found at) {
  double value = 0;
  if (at.get(value) != simdjson::SUCCESS) return std::nullopt;
  return value;
}

bool truth(Found at) {
  bool value = false;
  return at.get(value) == simdjson::SUCCESS && value;
}

std::string percent(std::optional<double> share) {
  return share ? fmt::format("{:.2f}%", 100 * *share) : "-";
}

// "met", "BROKEN"; broken ones are remembered.
std::string result(Element counted, const std::string& name, std::vector<std::string>& broken) {
  if (number(counted["total"]).value_or(0) == 0) return "nothing to count";
  if (truth(counted["met"])) return "met";
  broken.push_back(name);
  return "BROKEN";
}

std::string last_line(const std::vector<std::string>& broken) {
  if (broken.empty()) return "No budget is broken.\n";
  return fmt::format("Broken: {}.\n", fmt::join(broken, ", "));
}

std::vector<std::string> begin_row(Element budget) {
  return {text(budget["name"]), text(budget["target"])};
}

void not_live(std::vector<std::string>& row, std::size_t columns) {
  while (row.size() + 1 < columns) row.emplace_back("-");
  row.emplace_back("in load tests only");
}

std::optional<BudgetsShown> standing(simdjson::dom::array budgets, const std::string& window) {
  std::vector<std::vector<std::string>> rows = {
      {"BUDGET", "TARGET", "MEASURED", "COUNTED", "LEFT", "BURN 1h", "ALERT", "RESULT"}};
  std::vector<std::string> broken;
  for (Element budget : budgets) {
    std::vector<std::string> row = begin_row(budget);
    if (!truth(budget["live"])) {
      not_live(row, rows.front().size());
      rows.push_back(std::move(row));
      continue;
    }
    Element counted;
    if (budget["windows"][window].get(counted) != simdjson::SUCCESS) return std::nullopt;
    const double burnt = number(counted["burn_rate"]).value_or(0);
    row.push_back(percent(number(counted["ratio"])));
    row.push_back(fmt::format("{:.0f}", number(counted["total"]).value_or(0)));
    row.push_back(fmt::format("{:.0f}%", 100 * (1 - burnt)));
    row.push_back(fmt::format("{:.2f}", number(budget["windows"]["1h"]["burn_rate"]).value_or(0)));
    row.push_back(text(budget["alert"]));
    row.push_back(result(counted, row.front(), broken));
    rows.push_back(std::move(row));
  }
  return BudgetsShown{
      fmt::format("The last {}, of all nodes.\n", window) + table_text(rows) + last_line(broken),
      !broken.empty()};
}

std::optional<BudgetsShown> month(Element answer, simdjson::dom::array budgets) {
  std::vector<std::vector<std::string>> rows = {
      {"BUDGET", "TARGET", "MEASURED", "COUNTED", "LEFT", "WORST DAY", "RESULT"}};
  std::vector<std::string> broken;
  for (Element budget : budgets) {
    std::vector<std::string> row = begin_row(budget);
    if (!truth(budget["live"])) {
      not_live(row, rows.front().size());
      rows.push_back(std::move(row));
      continue;
    }
    row.push_back(percent(number(budget["ratio"])));
    row.push_back(fmt::format("{:.0f}", number(budget["total"]).value_or(0)));
    row.push_back(percent(number(budget["remaining_ratio"])));
    Element worst;
    const bool any = budget["worst_day"].get(worst) == simdjson::SUCCESS && !worst.is_null();
    row.push_back(any ? text(worst["day"]) + " " + percent(number(worst["ratio"])) : "-");
    row.push_back(result(budget, row.front(), broken));
    rows.push_back(std::move(row));
  }
  return BudgetsShown{fmt::format("{}{}, by UTC, of all nodes.\n", text(answer["month"]),
                                  truth(answer["complete"]) ? "" : ", until now") +
                          table_text(rows) + last_line(broken),
                      !broken.empty()};
}

std::string this_month() { return fmt::format("{:%Y-%m}", fmt::gmtime(std::time(nullptr))); }

bool is_window(std::string_view name) {
  return std::any_of(budget::kWindows.begin(), budget::kWindows.end(),
                     [&](const budget::Window& window) { return window.name == name; });
}

}  // namespace

std::optional<BudgetsShown> budgets_shown(const std::string& json, const std::string& window) {
  simdjson::dom::parser parser;
  Element answer;
  simdjson::dom::array budgets;
  if (parser.parse(json).get(answer) != simdjson::SUCCESS ||
      answer["budgets"].get(budgets) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  if (!text(answer["month"]).empty()) return month(answer, budgets);
  return standing(budgets, window);
}

void add_budgets_options(CLI::App& app, BudgetsOptions& options) {
  app.footer(
      "Every budget of the configuration, what was measured of it over all nodes and restarts, "
      "and\n"
      "what is left of what may be missed. Its burn rate is how fast that is used up: at 1 it "
      "lasts\n"
      "for just its thirty days.\n"
      "\n"
      "Examples:\n"
      "  penstock budgets\n"
      "  penstock budgets --window 1h\n"
      "  penstock budgets --month                 this month, for a report\n"
      "  penstock budgets --month 2027-01 --format json\n"
      "Exit codes: 0 none is broken, 1 one is, or the gateway cannot be reached, 2 an option "
      "means\n"
      "nothing.\n");
  app.add_option("--window", options.window, "How far back: 5m, 30m, 1h, 2h, 6h, 1d, 3d or 30d")
      ->type_name("TIME")
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--month", [&options](const std::string& given) { options.month = given; },
         "A month out of the database, such as 2027-01; the present one where none is given")
      ->type_name("MONTH")
      ->expected(0, 1);
  add_admin_options(app, options);
  add_format_option(app, options.format);
}

int budgets_command(const BudgetsOptions& options) {
  if (options.format != "table" && options.format != "json") {
    return bad_usage(kName, "--format is table or json");
  }
  if (!is_window(options.window)) {
    return bad_usage(kName, "--window is 5m, 30m, 1h, 2h, 6h, 1d, 3d or 30d");
  }
  int code = kGood;
  const std::unique_ptr<Client> client =
      Client::make(kName, options.admin, options.token, "--token", code);
  if (!client) return code;
  std::string target(kBudgets);
  if (options.month) {
    target +=
        "?month=" + http::percent_encoded(options.month->empty() ? this_month() : *options.month);
  }
  const Result<std::string> answer = client->get(target, kPatience);
  if (!answer) return client->failed(answer.error());
  const std::optional<BudgetsShown> shown = budgets_shown(*answer, options.window);
  if (!shown) {
    return client->failed(said("it answers otherwise than an admin listener of this version"));
  }
  const int printed = print_page(kName, options.format == "json" ? *answer + '\n' : shown->text);
  return printed == kGood && shown->broken ? kFailed : printed;
}

// ---- rules --------------------------------------------------------------------------------------

void add_rules_options(CLI::App& app, RulesOptions& options) {
  app.footer(
      "Recording rules and alerts of the configuration's `budgets`, as a file of rules. Write it\n"
      "again when the budgets change.\n"
      "\n"
      "Example:\n"
      "  penstock rules --config penstock.yaml > budgets.rules.yml\n"
      "Exit codes: 0 they are written, 2 the configuration is wrong or cannot be read.\n");
  app.add_option("--config", options.config, "The configuration; without one the defaults")
      ->type_name("FILE");
}

int rules_command(const RulesOptions& options) {
  constexpr const char* kRules = "penstock rules";
  const settings::Environment environment = settings::process_environment();
  settings::SettingsPtr settings;
  if (options.config.empty()) {
    // The budgets alone matter: what engines there are is not looked at.
    const auto none =
        settings::parse("{}", "none", [](const std::string&) { return std::nullopt; });
    settings = *none;
  } else {
    Result<settings::SettingsPtr, settings::LoadFailure> loaded =
        settings::load_file(options.config, environment);
    if (!loaded) {
      for (const settings::Problem& problem : loaded.error().problems) {
        fmt::print(stderr, "{}: {}\n", kRules, settings::to_string(problem));
      }
      return kBadUsage;
    }
    settings = *std::move(loaded);
  }
  return print_page(kRules, budget::prometheus_rules(budget::objectives(*settings)));
}

}  // namespace penstock::app
