#include "settings/budgets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "settings/text.h"

namespace penstock::settings {
namespace {

constexpr std::array<std::string_view, 9> kNames = {
    "response", "first_token",         "overhead", "errors", "cache", "throughput", "cpu",
    "memory",   "database_connections"};
constexpr std::string_view kLoad = "load";
constexpr std::string_view kLive = "live";

std::optional<BudgetOf> of_name(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<BudgetOf>(found - kNames.begin());
}

Budget standard(std::string name, std::optional<BudgetOf> of, std::string below,
                BudgetAlert alert) {
  Budget budget;
  budget.name = std::move(name);
  budget.of = of;
  budget.below = std::move(below);
  budget.alert = alert;
  return budget;
}

std::vector<Budget> standard_budgets() {
  std::vector<Budget> all = {
      standard("latency", BudgetOf::response, "200ms", BudgetAlert::none),
      standard("throughput", {}, "", BudgetAlert::none),
      standard("cache", {}, "", BudgetAlert::none),
      standard("errors", {}, "1%", BudgetAlert::page),
      standard("cpu", {}, "70%", BudgetAlert::ticket),
      standard("memory", {}, "80%", BudgetAlert::ticket),
      standard("database_connections", {}, "50", BudgetAlert::ticket),
      standard("overhead", BudgetOf::overhead, "10ms", BudgetAlert::page),
  };
  all[0].share = 0.95;
  all[1].requests_per_second = 1000;
  all[2].hit_ratio = 0.8;
  return all;
}

// What stands in `below` for each of them.
std::string_view form_of_limit(BudgetOf of) {
  if (of_times(of)) return "a time such as 200ms";
  return of == BudgetOf::database_connections ? "a number such as 50" : "a percentage such as 70%";
}

class Check {
 public:
  Check(const Budget& budget, std::size_t index, Report& report)
      : budget_(budget), path_(fmt::format("budgets[{}]", index)), report_(report) {}

  void look() {
    if (report_.faulty(path_)) return;
    look_at_places();
    if (!budget_.of) {
      complain(
          "name",
          {"does not say what the budget is about", "of: " + either({kNames.begin(), kNames.end()}),
           std::string(nearest(budget_.name, {kNames.begin(), kNames.end()}).value_or(""))});
      return;
    }
    const BudgetOf of = *budget_.of;
    alone("hit_ratio", budget_.hit_ratio.has_value(), of == BudgetOf::cache, "a share such as 80%");
    alone("requests_per_second", budget_.requests_per_second.has_value(),
          of == BudgetOf::throughput, "a number such as 1000");
    const bool limited = of != BudgetOf::cache && of != BudgetOf::throughput;
    alone("below", !budget_.below.empty(), limited, form_of_limit(of));
    if (budget_.share && !of_times(of) && !of_minutes(of)) {
      complain("for", {fmt::format("does not belong to a budget of {}", name_of(of))});
    }
    if (report_.faulty(path_)) return;
    look_at_values(of, limited);
  }

 private:
  void complain(std::string_view leaf, Complaint complaint) {
    report_.add_at_value(fmt::format("{}.{}", path_, leaf), std::move(complaint));
  }

  // A value that budgets of one kind need, and others do not have.
  void alone(std::string_view leaf, bool there, bool needed, std::string_view expected) {
    if (there == needed) return;
    if (there) {
      complain(leaf, {fmt::format("does not belong to a budget of {}", name_of(*budget_.of))});
    } else {
      report_.add_at_value(path_,
                           {fmt::format("a budget of {} needs `{}`", name_of(*budget_.of), leaf),
                            std::string(expected)});
    }
  }

  void look_at_places() {
    const std::vector<std::string_view> known = {kLoad, kLive};
    for (std::size_t i = 0; i < budget_.in.size(); ++i) {
      const std::string& place = budget_.in[i];
      if (std::find(known.begin(), known.end(), place) != known.end()) continue;
      complain(fmt::format("in[{}]", i),
               {fmt::format("\"{}\" is no place to look at budgets", place), either(known),
                std::string(nearest(place, known).value_or(""))});
    }
    if (budget_.in.empty()) complain("in", {"is empty: nobody would look at it", either(known)});
    if (budget_.of == BudgetOf::throughput && budget_.live()) {
      complain("in", {"how much is asked live, clients decide", "[load]"});
    }
  }

  void look_at_values(BudgetOf of, bool limited) {
    if (limited) {
      const Result<double, Fault> limit = limit_of(budget_);
      const bool share = of == BudgetOf::errors || of == BudgetOf::cpu || of == BudgetOf::memory;
      if (!limit || *limit <= 0 || (share && *limit > 1)) {
        complain("below",
                 {fmt::format("\"{}\" is nothing that {} can be below", budget_.below, name_of(of)),
                  std::string(form_of_limit(of))});
        return;
      }
    }
    if (of == BudgetOf::throughput) {
      if (*budget_.requests_per_second <= 0) complain("requests_per_second", {"is zero"});
      return;
    }
    const double objective = objective_of(budget_);
    if (objective > 0 && objective < 1) return;
    // What must hold always can never be broken a little: no rate of burning could be told.
    const std::string_view leaf = of == BudgetOf::errors  ? "below"
                                  : of == BudgetOf::cache ? "hit_ratio"
                                                          : "for";
    complain(leaf, {"leaves nothing that may be missed, or asks for nothing",
                    of == BudgetOf::errors ? "more than 0% and less than 100%, such as 0.1%"
                                           : "more than 0% and less than 100%, such as 99.9%"});
  }

  const Budget& budget_;
  const std::string path_;
  Report& report_;
};

}  // namespace

bool Budget::live() const { return std::find(in.begin(), in.end(), kLive) != in.end(); }

std::string_view name_of(BudgetOf of) { return kNames[static_cast<std::size_t>(of)]; }

Result<double, Fault> limit_of(const Budget& budget) {
  if (of_times(*budget.of)) {
    const Result<Duration, Fault> time = parse_duration(budget.below);
    if (!time) return time.error();
    return std::chrono::duration<double>(*time).count();
  }
  if (*budget.of == BudgetOf::database_connections) return parse_number(budget.below);
  return parse_ratio(budget.below);
}

double objective_of(const Budget& budget) {
  if (*budget.of == BudgetOf::errors) return 1 - *limit_of(budget);
  if (*budget.of == BudgetOf::cache) return *budget.hit_ratio;
  return budget.share.value_or(kBudgetShare);
}

void complete_budgets(Settings& settings, bool given) {
  if (!given) settings.budgets = standard_budgets();
  for (Budget& budget : settings.budgets) {
    if (!budget.of && budget.hit_ratio) budget.of = BudgetOf::cache;
    if (!budget.of && budget.requests_per_second) budget.of = BudgetOf::throughput;
    if (!budget.of) budget.of = of_name(budget.name);
    if (!budget.of) continue;
    if (!budget.share && (of_times(*budget.of) || of_minutes(*budget.of))) {
      budget.share = kBudgetShare;
    }
    if (!budget.in.empty()) continue;
    budget.in = {std::string(kLoad)};
    if (*budget.of != BudgetOf::throughput) budget.in.emplace_back(kLive);
  }
}

void check_budgets(const Settings& settings, Report& report) {
  const std::vector<Budget>& budgets = settings.budgets;
  if (budgets.size() > kMostBudgets) {
    report.add_at_value(
        "budgets", {fmt::format("are {}, and at most {} are kept", budgets.size(), kMostBudgets)});
  }
  for (std::size_t i = 0; i < budgets.size(); ++i) {
    const auto same = [&](const Budget& other) { return other.name == budgets[i].name; };
    const auto before = budgets.begin() + static_cast<std::ptrdiff_t>(i);
    if (!budgets[i].name.empty() && std::any_of(budgets.begin(), before, same)) {
      report.add_at_value(fmt::format("budgets[{}].name", i), {"stands twice: it names a budget"});
    }
    Check(budgets[i], i, report).look();
  }
}

}  // namespace penstock::settings
