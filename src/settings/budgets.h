// Performance budgets as they are written: what they leave out, and whether they make sense.
#pragma once

#include <string>
#include <string_view>

#include "settings/report.h"
#include "settings/settings.h"
#include "settings/values.h"

namespace penstock::settings {

inline constexpr std::size_t kMostBudgets = 32;
inline constexpr double kBudgetShare = 0.99;  // where `for` is not set

// "response"
std::string_view name_of(BudgetOf of);

// Of requests or of minutes, by what they take.
constexpr bool of_times(BudgetOf of) { return of <= BudgetOf::overhead; }
constexpr bool of_minutes(BudgetOf of) { return of >= BudgetOf::cpu; }

// What `below` comes to: seconds for times, a share for errors, cpu and memory, else a number.
// REQUIRES: `of` is set.
Result<double, Fault> limit_of(const Budget& budget);

// What of the times must be kept, or of the answers, or of the minutes: 0 to 1.
// REQUIRES: a budget that was checked.
double objective_of(const Budget& budget);

// `given`: there was a list; else there are those of every start. Adds what each leaves out.
void complete_budgets(Settings& settings, bool given);

void check_budgets(const Settings& settings, Report& report);

}  // namespace penstock::settings
