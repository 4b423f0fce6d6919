#include "store/database.h"

#include "store/postgres_database.h"
#include "store/sqlite_database.h"

namespace penstock::store {
namespace {

constexpr std::string_view kSqlite = "sqlite:";

}  // namespace

Task<Result<Rows>> Database::write(const Statement& statement, Values values, Mark* here,
                                   Deadline& deadline) {
  std::vector<Step> steps;
  steps.push_back(Step{&statement, std::move(values)});
  Result<std::vector<Rows>> done = co_await transact(std::move(steps), here, deadline);
  if (!done) co_return done.error();
  co_return std::move(done->front());
}

Result<std::unique_ptr<Database>> open(const Options& options, observe::Registry& registry,
                                       observe::Log& log) {
  const std::string_view url = options.url;
  if (url.starts_with(kSqlite)) {
    std::string_view path = url.substr(kSqlite.size());
    if (path.starts_with("//")) path.remove_prefix(2);  // sqlite:///var/lib/penstock.db
    if (path.empty() || path.find_first_of("?#") != std::string_view::npos) {
      return Error{Kind::invalid, Source::store, false,
                   "a database's URL is sqlite:FILE or postgresql://user@host/database"};
    }
    return SqliteDatabase::open(options, std::string(path), registry, log);
  }
  return PostgresDatabase::open(options, registry, log);
}

}  // namespace penstock::store
