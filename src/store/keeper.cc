#include "store/keeper.h"

#include "base/give_way.h"
#include "base/sleep.h"
#include "store/postgres_statements.h"

namespace penstock::store {
namespace {

constexpr std::int64_t kDay = 86'400'000'000;
constexpr std::int64_t kPiece = 5'000;  // rows of one transaction in SQLite
constexpr Duration kEach = 1h;
constexpr Duration kAgain = 1min;
constexpr Duration kRound = 10min;
constexpr Duration kMonth = 5s;  // to make a partition

constexpr Statement kOldest = {"retire_usage", "SELECT min(time_us) FROM usage", {}, true};
constexpr Statement kCut = {
    "retire_usage", "SELECT time_us FROM usage ORDER BY time_us LIMIT 1 OFFSET $1", {}, true};
constexpr Statement kSum = {
    "retire_usage",
    "INSERT INTO usage_days AS d SELECT time_us / 86400000000, tenant, key, model, engine, route, "
    "status, cache, sum(count), sum(CASE WHEN error <> '' THEN count ELSE 0 END), "
    "sum(tokens_input), sum(tokens_output), sum(tokens_cached_input), sum(tokens_reasoning), "
    "sum(cost_nano), sum(duration_us), sum(engine_us), sum(coalesce(first_token_us, 0)), sum(CASE "
    "WHEN first_token_us IS NULL THEN 0 ELSE count END) FROM usage WHERE time_us < $1 GROUP BY 1, "
    "2, 3, 4, 5, 6, 7, 8 ON CONFLICT (day, tenant, key, model, engine, route, status, cache) DO "
    "UPDATE SET count = d.count + excluded.count, errors = d.errors + excluded.errors, "
    "tokens_input = d.tokens_input + excluded.tokens_input, tokens_output = d.tokens_output + "
    "excluded.tokens_output, tokens_cached_input = d.tokens_cached_input + "
    "excluded.tokens_cached_input, tokens_reasoning = d.tokens_reasoning + "
    "excluded.tokens_reasoning, cost_nano = d.cost_nano + excluded.cost_nano, duration_us = "
    "d.duration_us + excluded.duration_us, engine_us = d.engine_us + excluded.engine_us, "
    "first_token_us = d.first_token_us + excluded.first_token_us, first_tokens = d.first_tokens + "
    "excluded.first_tokens"};
constexpr Statement kDelete = {"retire_usage", "DELETE FROM usage WHERE time_us < $1"};
// PostgreSQL has functions of its own for it.
constexpr std::array kStatements = {&kOldest, &kCut, &kSum, &kDelete};

std::optional<std::int64_t> first_number(const Rows& rows) {
  if (rows.rows.empty()) return std::nullopt;
  const auto* const number = std::get_if<std::int64_t>(&rows.rows.front().front());
  return number != nullptr ? std::optional(*number) : std::nullopt;
}

Task<Result<std::uint64_t>> tidy_postgres(Database& database, std::int64_t now_us,
                                          std::int64_t before, Deadline& deadline) {
  const std::int64_t this_month = month_of(now_us);
  for (const std::int64_t month : {this_month, month_of(this_month + 32 * kDay)}) {
    Values values = {month};
    Deadline soon(deadline, Clock::now() + kMonth);
    Result<Rows> made = co_await database.write(kMakeMonth, std::move(values), nullptr, soon);
    if (!made) co_return made.error();
  }
  // Summing a month may take minutes, and is waited for. Whether there is one to sum is known at
  // once: a server that falls silent must not hold a node's only connection for so long over
  // nothing.
  {
    Deadline soon(deadline, Clock::now() + kMonth);
    Result<Rows> oldest = co_await database.write(kOldest, {}, nullptr, soon);
    if (!oldest) co_return oldest.error();
    const std::optional<std::int64_t> first = first_number(*oldest);
    if (!first || month_of(*first) >= month_of(before)) co_return std::uint64_t{0};
  }
  std::uint64_t all = 0;
  for (;;) {
    Values values = {before};
    Result<Rows> done = co_await database.write(kRetireMonth, std::move(values), nullptr, deadline);
    if (!done) co_return done.error();
    const std::optional<std::int64_t> had = first_number(*done);
    if (!had) co_return all;
    all += static_cast<std::uint64_t>(*had);
  }
}

Task<Result<std::uint64_t>> tidy_sqlite(Database& database, std::int64_t before,
                                        Deadline& deadline) {
  std::uint64_t all = 0;
  for (;;) {
    Result<Rows> oldest = co_await database.write(kOldest, {}, nullptr, deadline);
    if (!oldest) co_return oldest.error();
    const std::optional<std::int64_t> first = first_number(*oldest);
    if (!first || *first >= before) co_return all;
    Values piece = {kPiece};
    Result<Rows> cut = co_await database.write(kCut, std::move(piece), nullptr, deadline);
    if (!cut) co_return cut.error();
    const std::int64_t to =
        std::min(before, std::max(first_number(*cut).value_or(before), *first + 1));
    std::vector<Step> steps;
    steps.push_back(Step{&kSum, {to}});
    steps.push_back(Step{&kDelete, {to}});
    Result<std::vector<Rows>> done =
        co_await database.transact(std::move(steps), nullptr, deadline);
    if (!done) co_return done.error();
    all += done->back().changed;
  }
}

std::int64_t unix_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Task<Result<std::uint64_t>> tidy_usage(Database& database, std::int64_t now_us, Duration keep,
                                       Deadline& deadline) {
  const auto kept = std::chrono::duration_cast<std::chrono::microseconds>(keep).count();
  // Whole days, so that a day is either rows or a sum.
  const std::int64_t before = (now_us - kept) / kDay * kDay;
  if (database.dialect() == Dialect::postgres) {
    Result<std::uint64_t> done = co_await tidy_postgres(database, now_us, before, deadline);
    co_return done;
  }
  Result<std::uint64_t> done = co_await tidy_sqlite(database, before, deadline);
  co_return done;
}

Keeper::Keeper(Database& database, Duration keep, observe::Log& log)
    : database_(database), log_(log), thread_([this, keep] {
        give_way();
        loop_.spawn(keep_on(keep));
        loop_.run();
      }) {}

Keeper::~Keeper() {
  loop_.stop();
  thread_.join();
}

Task<void> Keeper::keep_on(Duration keep) {
  Deadline forever(loop_, Time::max());
  for (;;) {
    Duration pause = kEach;
    {
      Deadline deadline(forever, Clock::now() + kRound);
      Result<std::uint64_t> done = co_await tidy_usage(database_, unix_us(), keep, deadline);
      if (!done) {
        pause = kAgain;
        log_.debug("usage could not be tidied", {{"reason", done.error().detail}});
      } else if (*done > 0) {
        log_.info("old usage is kept as sums of days",
                  {{"rows", static_cast<std::int64_t>(*done)}});
      }
    }
    co_await sleep_until(Clock::now() + pause, forever);
  }
}

Part keeper_statements() { return kStatements; }

}  // namespace penstock::store
