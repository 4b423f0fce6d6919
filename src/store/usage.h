// What was used, summed: by any of a few columns, over a time, of rows and of the days that rows
// were summed into before they went.
//
//   usage       rows, by the microsecond          ┐ never the same request twice: what is in
//   usage_days  sums of whole days, kept for ever  ┘ usage_days was deleted from usage with it
//
// There is one statement for each index that may lead to the rows; columns to group by are switched
// on by values. No text is ever made of a question.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/caller.h"
#include "exchange/exchange.h"
#include "store/database.h"
#include "store/statements.h"

namespace penstock::store {

enum class UsageColumn : std::uint8_t {
  tenant,
  key,
  model,
  engine,
  route,
  status,
  cache,
  hour,  // times are of UTC
  day,
  month
};
std::optional<UsageColumn> usage_column(std::string_view name);
std::string_view name_of(UsageColumn column);

struct UsageQuestion {
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;  // not included. Days that are kept as sums belong to where they begin
  std::vector<UsageColumn> by;  // of hour, day and month at most one
  std::optional<std::string> tenant, key, model, engine, route, cache;
  std::optional<std::int32_t> status;
  bool percentiles = false;  // sorts the rows: slower
  std::size_t most = 1000;   // groups in one answer
  std::string after;         // UsageReport::more of the answer before
};

struct UsageSums {
  std::vector<std::string> group;  // in the order of `by`; "2026-11-27T04", "2026-11-27", "2026-11"
  std::uint64_t count = 0;
  std::uint64_t errors = 0;
  std::uint64_t hits = 0;   // of the count: answered without an engine of its own
  Usage tokens;             // that engines counted
  std::uint64_t saved = 0;  // tokens of the answers that hits were given
  Nano cost = 0;
  double duration_us = 0;                // on average
  double engine_us = 0;                  // on average
  std::optional<double> first_token_us;  // on average, of those that have one
  // While the rows are there: days that are kept as sums have none.
  std::uint64_t judged = 0;                     // of the count: whose question has a complexity
  double complexity = 0;                        // of those, on average; 0 to 1
  std::optional<std::int64_t> duration_p95_us;  // where asked for, and the rows are there
};

struct UsageReport {
  std::vector<UsageSums> groups;  // in the order of time, tenant, key, model, engine ...
  std::string more;               // there are more: ask with `after`. Empty: these were all
};

// An Error of kind invalid: the question contradicts itself, or `after` is none of ours.
Task<Result<UsageReport>> usage(Database& database, UsageQuestion question, Deadline& deadline);

// What was spent from a time to another, for a budget's start.
enum class SpendOf : std::uint8_t { all, tenant, key, model };
Task<Result<Nano>> spend(Database& database, SpendOf of, std::string name, std::int64_t from_us,
                         std::int64_t to_us, Deadline& deadline);

Part usage_statements();

}  // namespace penstock::store
