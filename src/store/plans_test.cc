// Every statement of the program must be led to its rows by an index, over tables of the size that
// they come to.
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <sqlite3.h>

#include <filesystem>

#include "store/migrations.h"
#include "store/postgres_values.h"
#include "store/servers_testing.h"
#include "store/statements.h"

namespace penstock::store {
namespace {

constexpr std::int64_t kDay = 86'400'000'000;
constexpr std::int64_t kStart = 20'514 * kDay;  // 2026-03-02
// Of which each has so many rows that to read them all would be noticed.
constexpr std::array<std::string_view, 9> kBig = {
    "usage",    "usage_days",        "usage_staging",  "api_keys", "audit",
    "feedback", "popular_questions", "budget_minutes", "alerts"};
// They end after a bounded number of rows of the table's own order, which SQLite calls a scan.
constexpr std::array<std::string_view, 3> kInOrder = {
    "SELECT time_us FROM usage ORDER BY time_us LIMIT 1 OFFSET $1",
    "SELECT key, path, body, tenant, scope, tags, asked FROM popular_questions ORDER BY asked DESC "
    "LIMIT $1 OFFSET $2",
    "DELETE FROM popular_questions WHERE asked < (SELECT asked FROM popular_questions ORDER BY "
    "asked DESC LIMIT 1 OFFSET $1)"};

const std::vector<std::string> kFill = {
    "SELECT usage_month(" + std::to_string(kStart) + ")",
    // So that the replica has nothing to do.
    "ALTER TABLE usage_202603 SET UNLOGGED",
    // Made again by their own texts, over all rows at once.
    "DROP INDEX usage_tenant, usage_key, usage_request",
    "INSERT INTO usage SELECT " + std::to_string(kStart) +
        " + i * 2500000, gen_random_uuid(), 'tenant-' || i % 50, 'key_' || i % 5000, 'model-' || i "
        "% "
        "5, 'engine-' || i % 3, 'chat', 200, 'miss', 1, 100, 50, 0, 0, 1000, NULL, 2000, 1500, "
        "900, "
        "'', 'req-' || i, '', '', '', '' FROM generate_series(CAST(1 AS bigint), 1000000) AS i",
    "INSERT INTO usage_days SELECT i / 100, 'tenant-' || i % 50, 'key_' || i, 'm', 'e', 'chat', "
    "200, "
    "'miss', 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1 FROM generate_series(1, 100000) AS i",
    "INSERT INTO usage_staging SELECT i / 100, u.* FROM generate_series(1, 20000) AS i, (SELECT * "
    "FROM "
    "usage LIMIT 1) AS u",
    "INSERT INTO api_keys SELECT 'key_' || i, 'pk', sha256(CAST('k' || i AS bytea)), 'n', "
    "'tenant-' || "
    "i % 500, '[]', '{}', 'interactive', 'tenant', 1, NULL, NULL, NULL, NULL, 'me', i FROM "
    "generate_series(1, 100000) AS i",
    "INSERT INTO audit SELECT 'a' || i, i, 'me', 'made', 'o', '{}', 'n' FROM generate_series(1, "
    "100000) "
    "AS i",
    "INSERT INTO popular_questions SELECT 'k' || i, i, i, 't', 's', '/v1/chat/completions', '', "
    "'{}' FROM generate_series(1, 100000) AS i",
    "INSERT INTO alerts SELECT 'f' || i, i, CASE WHEN i % 1000 = 0 THEN NULL ELSE i END, 'g', 'n', "
    "'s', "
    "'{}', '{}', i FROM generate_series(1, 100000) AS i",
    "INSERT INTO budget_minutes SELECT 29000000 + i / 16, 'm' || i % 8, 's' || i / 8 % 2, 1, 1 "
    "FROM "
    "generate_series(1, 700000) AS i",
    "INSERT INTO feedback SELECT 'f' || i, i, 'r', 't', 'k', 'up', '', 'm' FROM generate_series(1, "
    "100000) AS i",
};

// A day of usage, grouped by all, behind the beginning.
Values usage_example() {
  const std::string none;
  Values out(7, Value(std::int64_t{1}));
  out.insert(out.end(), {std::int64_t{2},
                         kStart + 5 * kDay,
                         kStart + 6 * kDay,
                         std::int64_t{900},
                         std::int64_t{901},
                         std::string("tenant-7"),
                         std::string("key_7"),
                         {},
                         {},
                         {},
                         {},
                         {},
                         std::int64_t{1000},
                         std::int64_t{-1},
                         none,
                         none,
                         none,
                         none,
                         none,
                         std::int64_t{0},
                         none});
  return out;
}

// Values that lead to few rows, as the program's own do; of a type that the database names.
Values example(const Statement& statement, const std::vector<Oid>& types) {
  if (statement.name.starts_with("usage_")) return usage_example();
  if (statement.name == "list_alerts") return {std::int64_t{99'990}, std::int64_t{100}};
  if (statement.name.starts_with("spend")) {
    return {std::string("tenant-7"), kStart + 5 * kDay, kStart + 6 * kDay, std::int64_t{900},
            std::int64_t{901}};
  }
  Values out;
  for (const Oid type : types) {
    switch (type) {
      case 17: out.emplace_back(Blob{std::string(32, 'x')}); break;
      case 20:
      case 21:
      case 23: out.emplace_back(std::int64_t{1}); break;
      case 700:
      case 701: out.emplace_back(0.5); break;
      case 2950: out.emplace_back(std::string("019ab3c4-7d10-7b62-9f3e-0a1b2c3d4e5f")); break;
      default: out.emplace_back(std::string("x"));
    }
  }
  return out;
}

struct Connection {
  explicit Connection(const std::string& url) : handle(PQconnectdb(url.c_str())) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { PQfinish(handle); }
  PGconn* handle;
};

TEST(Plans, LeadByAnIndexInPostgresWithAMillionRows) {
  Servers& servers = Servers::get();
  const std::string name = servers.fresh_database();
  House house;
  Options options;
  options.url = servers.primary->url(name);
  const std::unique_ptr<Database> database = house.open(options);
  must_migrate(*database);
  for (const std::string& sql : kFill) servers.primary->ask(name, sql);
  for (const std::string_view text : first_version_of_postgres()) {
    for (const std::string_view index : {"usage_tenant", "usage_key", "usage_request"}) {
      const std::string begin = "CREATE INDEX " + std::string(index) + " ";
      if (text.starts_with(begin)) servers.primary->ask(name, std::string(text));
    }
  }
  servers.primary->ask(name, "ANALYZE");

  const Connection connection(servers.primary->url(name));
  std::size_t explained = 0;
  for (const Statement* const statement : statements()) {
    const std::string sql(statement->sql);
    const PostgresResult prepared(PQprepare(connection.handle, "", sql.c_str(), 0, nullptr));
    ASSERT_EQ(PGRES_COMMAND_OK, PQresultStatus(prepared.get()))
        << sql << ": " << PQerrorMessage(connection.handle);
    const PostgresResult described(PQdescribePrepared(connection.handle, ""));
    std::vector<Oid> types;
    for (int i = 0; i < PQnparams(described.get()); ++i) {
      types.push_back(PQparamtype(described.get(), i));
    }
    const Values given = example(*statement, types);
    const Parameters values(given);
    ASSERT_EQ(static_cast<std::size_t>(values.count()), types.size()) << statement->name;
    const PostgresResult result(PQexecParams(connection.handle, ("EXPLAIN " + sql).c_str(),
                                             values.count(), nullptr, values.texts(),
                                             values.lengths(), values.formats(), 0));
    ASSERT_EQ(PGRES_TUPLES_OK, PQresultStatus(result.get()))
        << sql << ": " << PQerrorMessage(connection.handle);
    std::string plan;
    for (int i = 0; i < PQntuples(result.get()); ++i) {
      plan += PQgetvalue(result.get(), i, 0);
      plan += '\n';
    }
    for (const std::string_view table : kBig) {
      EXPECT_EQ(std::string::npos, plan.find(fmt::format("Seq Scan on {}", table)))
          << statement->name << ":\n"
          << plan;
    }
    ++explained;
  }
  EXPECT_EQ(statements().size(), explained);
}

// What it decides does not depend on how many rows there are: it has no statistics of them.
TEST(Plans, LeadByAnIndexInSqlite) {
  const std::string folder = temporary_folder("sqlite");
  {
    House house;
    Options options;
    options.url = "sqlite:" + folder + "/a.db";
    const std::unique_ptr<Database> database = house.open(options);
    must_migrate(*database);
    sqlite3* handle = nullptr;
    ASSERT_EQ(SQLITE_OK, sqlite3_open((folder + "/a.db").c_str(), &handle));
    std::size_t explained = 0;
    for (const Statement* const statement : statements()) {
      const std::string_view text = statement->sqlite.empty() ? statement->sql : statement->sqlite;
      sqlite3_stmt* prepared = nullptr;
      const std::string sql = "EXPLAIN QUERY PLAN " + std::string(text);
      if (sqlite3_prepare_v2(handle, sql.c_str(), -1, &prepared, nullptr) != SQLITE_OK) {
        // Of PostgreSQL alone: it uses its functions.
        EXPECT_NE(std::string::npos, text.find('(')) << text << sqlite3_errmsg(handle);
        EXPECT_TRUE(text.find("usage_month") != std::string::npos ||
                    text.find("usage_retire") != std::string::npos ||
                    text.find("pg_") != std::string::npos ||
                    text.find("clock_timestamp") != std::string::npos ||
                    text.find("usage_staging") != std::string::npos)
            << text << ": " << sqlite3_errmsg(handle);
        continue;
      }
      ++explained;
      std::string plan;
      while (sqlite3_step(prepared) == SQLITE_ROW) {
        plan += reinterpret_cast<const char*>(sqlite3_column_text(prepared, 3));
        plan += '\n';
      }
      sqlite3_finalize(prepared);
      if (std::find(kInOrder.begin(), kInOrder.end(), text) != kInOrder.end()) continue;
      for (const std::string_view table : kBig) {
        EXPECT_EQ(std::string::npos, (plan + "\n").find(fmt::format("SCAN {}\n", table)))
            << statement->name << ":\n"
            << plan;
        EXPECT_EQ(std::string::npos, plan.find(fmt::format("SCAN {} USING", table)))
            << statement->name << ":\n"
            << plan;
      }
    }
    EXPECT_GT(explained, 10u);
    sqlite3_close(handle);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace penstock::store
