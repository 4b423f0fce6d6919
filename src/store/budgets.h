// What was counted for performance budgets, by minutes: of all nodes, over their restarts.
//
// A process writes its own rows alone, and each with all that it counted in that minute: to write
// them again does no harm.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/database.h"
#include "store/statements.h"

namespace penstock::store {

struct BudgetCount {
  std::string measure;      // what was counted: a budget and its limit
  std::int64_t minute = 0;  // since 1970; of several the first
  std::int64_t good = 0;
  std::int64_t total = 0;
};
inline constexpr std::size_t kMostBudgetCounts = 500;  // in one call of write_budgets

// `source`: the process.
Task<Result<void>> write_budgets(Database& database, std::string source,
                                 std::vector<BudgetCount> counts, Deadline& deadline);

// What was counted from the minute `from` until before `to`, summed by `step` minutes; a sum that
// begins earlier has its own first minute. What `without` wrote is left out.
Task<Result<std::vector<BudgetCount>>> read_budgets(Database& database, std::string without,
                                                    std::int64_t from, std::int64_t to,
                                                    std::int64_t step, Deadline& deadline);

Task<Result<void>> forget_budgets(Database& database, std::int64_t before_minute,
                                  Deadline& deadline);

Part budget_statements();

}  // namespace penstock::store
