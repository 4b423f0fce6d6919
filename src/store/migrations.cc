#include "store/migrations.h"

#include <algorithm>

namespace penstock::store {
namespace {

// PostgreSQL: of one transaction, so that it works through pgbouncer; in SQLite the writer's
// transaction is exclusive as it is.
constexpr Statement kLock = {
    "migrate", "SELECT pg_advisory_xact_lock(7018116240)", "SELECT 1", false, false, true};
constexpr Statement kCreate = {
    "migrate",
    "CREATE TABLE IF NOT EXISTS schema_version (version bigint PRIMARY KEY, applied_us bigint NOT "
    "NULL)",
    {},
    false,
    false,
    true};
constexpr Statement kLast = {"migrate", "SELECT max(version) FROM schema_version", {}, true, false,
                             true};
// Fails where another node was faster, and with it all of the transaction.
constexpr Statement kInsert = {
    "migrate", "INSERT INTO schema_version (version, applied_us) VALUES ($1, $2)", {}, false, false,
    true};
constexpr std::array kStatements = {&kLast, &kInsert};

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::span<const Version> versions() {
  static const std::array all = {
      Version{1, first_version_of_sqlite(), first_version_of_postgres()},
      Version{2, second_version_of_sqlite(), second_version_of_postgres()},
      Version{3, third_version_of_sqlite(), third_version_of_postgres()},
      Version{4, fourth_version_of_sqlite(), fourth_version_of_postgres()},
  };
  return all;
}

Part migration_statements() { return kStatements; }

Task<Result<int>> migrate(Database& database, Deadline& deadline) {
  std::vector<Step> create;
  create.push_back(Step{&kLock, {}});
  create.push_back(Step{&kCreate, {}});
  Result<std::vector<Rows>> created =
      co_await database.transact(std::move(create), nullptr, deadline);
  if (!created) co_return created.error();

  int applied = 0;
  for (;;) {
    Result<Rows> last = co_await database.write(kLast, {}, nullptr, deadline);
    if (!last) co_return last.error();
    const auto* const number = std::get_if<std::int64_t>(&last->rows.front().front());
    const std::int64_t at = number != nullptr ? *number : 0;
    const std::span<const Version> all = versions();
    if (at > all.back().number) {
      co_return Error{Kind::refused, Source::store, false,
                      "the database " + std::string(database.name()) + " has version " +
                          std::to_string(at) + " of the tables, and this program knows " +
                          std::to_string(all.back().number) + ": it was made by a newer Penstock"};
    }
    const auto next =
        std::find_if(all.begin(), all.end(), [&](const Version& one) { return one.number > at; });
    if (next == all.end()) co_return applied;

    const std::span<const std::string_view> texts =
        database.dialect() == Dialect::sqlite ? next->sqlite : next->postgres;
    std::vector<Statement> made;
    made.reserve(texts.size());
    for (const std::string_view text : texts) {
      made.push_back(Statement{"migrate", text, {}, false, false, true});
    }
    std::vector<Step> steps;
    steps.push_back(Step{&kLock, {}});
    steps.push_back(Step{&kInsert, {next->number, now_us()}});
    for (const Statement& one : made) steps.push_back(Step{&one, {}});
    Result<std::vector<Rows>> done =
        co_await database.transact(std::move(steps), nullptr, deadline);
    if (done) {
      ++applied;
    } else if (done.error().kind != Kind::refused) {
      co_return done.error();
    }
  }
}

}  // namespace penstock::store
