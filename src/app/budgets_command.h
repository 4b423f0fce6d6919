// `penstock budgets`: what was promised against what is measured. `penstock rules`: what Prometheus
// is to watch of it.
#pragma once

#include <optional>
#include <string>

#include "app/admin_options.h"

namespace penstock::app {

struct BudgetsOptions : AdminChoice {
  std::string format = "table";
  std::string window = "30d";
  std::optional<std::string> month;  // "": the present one
};

// 1 where a budget is broken, or the gateway cannot be reached or refuses; 2 where an option means
// nothing.
int budgets_command(const BudgetsOptions& options);
void add_budgets_options(CLI::App& app, BudgetsOptions& options);

struct RulesOptions {
  std::string config;  // empty: those of a start without a file
};

// To standard output; 2 where the configuration means nothing.
int rules_command(const RulesOptions& options);
void add_rules_options(CLI::App& app, RulesOptions& options);

// What the admin API says of the budgets (GET /admin/v1/budgets), as a table; nothing where it is
// not what such a listener says.
struct BudgetsShown {
  std::string text;
  bool broken = false;
};
std::optional<BudgetsShown> budgets_shown(const std::string& json, const std::string& window);

}  // namespace penstock::app
