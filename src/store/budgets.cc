#include "store/budgets.h"

#include <array>

#include "store/cells.h"

namespace penstock::store {
namespace {

constexpr Statement kWrite = {
    "write_budgets",
    "INSERT INTO budget_minutes (minute, measure, source, good, total) VALUES ($1, $2, $3, $4, $5) "
    "ON CONFLICT (minute, measure, source) DO UPDATE SET good = excluded.good, total = "
    "excluded.total",
    {},
    false,
    true};
constexpr Statement kRead = {
    "read_budgets",
    "SELECT measure, minute - minute % $1 AS first, CAST(sum(good) AS bigint), CAST(sum(total) AS "
    "bigint) FROM budget_minutes WHERE minute >= $2 AND minute < $3 AND source <> $4 GROUP BY 1, 2",
    {},
    true};
constexpr Statement kForget = {
    "forget_budgets", "DELETE FROM budget_minutes WHERE minute < $1", {}, false, true};

}  // namespace

Task<Result<void>> write_budgets(Database& database, std::string source,
                                 std::vector<BudgetCount> counts, Deadline& deadline) {
  std::vector<Step> steps;
  steps.reserve(counts.size());
  for (BudgetCount& one : counts) {
    steps.push_back(
        Step{&kWrite, {one.minute, std::move(one.measure), source, one.good, one.total}});
  }
  if (steps.empty()) co_return Result<void>();
  Result<std::vector<Rows>> done = co_await database.transact(std::move(steps), nullptr, deadline);
  if (!done) co_return std::move(done).error();
  co_return Result<void>();
}

Task<Result<std::vector<BudgetCount>>> read_budgets(Database& database, std::string without,
                                                    std::int64_t from, std::int64_t to,
                                                    std::int64_t step, Deadline& deadline) {
  Values values = {step, from, to, std::move(without)};
  Result<Rows> rows = co_await database.read(kRead, std::move(values), Mark(), deadline);
  if (!rows) co_return std::move(rows).error();
  std::vector<BudgetCount> out;
  out.reserve(rows->rows.size());
  for (const Values& row : rows->rows) {
    out.push_back({text_of(row[0]), number_of(row[1]), number_of(row[2]), number_of(row[3])});
  }
  co_return out;
}

Task<Result<void>> forget_budgets(Database& database, std::int64_t before_minute,
                                  Deadline& deadline) {
  Values values = {before_minute};
  Result<Rows> done = co_await database.write(kForget, std::move(values), nullptr, deadline);
  if (!done) co_return std::move(done).error();
  co_return Result<void>();
}

Part budget_statements() {
  static constexpr std::array kAll = {&kWrite, &kRead, &kForget};
  return kAll;
}

}  // namespace penstock::store
