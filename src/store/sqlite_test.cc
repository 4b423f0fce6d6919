// What SQLite alone has: a log that a reader may hold, other programs' locks, files that are none.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>

#include "store/servers_testing.h"

namespace penstock::store {
namespace {

constexpr Statement kMore = {"test_more", "UPDATE counters SET value = value + 1 WHERE name = $1"};
constexpr Statement kValue = {"test_value", "SELECT value FROM counters WHERE name = $1", {}, true};
constexpr Statement kCount = {"test_count", "SELECT count(*) FROM usage", {}, true};
constexpr std::int64_t kNow = 1'790'000'000'000'000;

// Another program's connection to the same file.
class Other {
 public:
  explicit Other(const std::string& path) { sqlite3_open(path.c_str(), &handle_); }
  Other(const Other&) = delete;
  Other& operator=(const Other&) = delete;
  ~Other() { sqlite3_close(handle_); }
  void run(const char* sql) {
    EXPECT_EQ(SQLITE_OK, sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr))
        << sqlite3_errmsg(handle_);
  }

 private:
  sqlite3* handle_ = nullptr;
};

class Sqlite : public testing::Test {
 protected:
  Sqlite() : folder_(temporary_folder("sqlite")), path_(folder_ + "/a.db") {
    options_.url = "sqlite:" + path_;
  }
  ~Sqlite() override { std::filesystem::remove_all(folder_); }

  static Result<Rows> write(Database& database, Duration limit = 10s) {
    return wait(limit, [&](Deadline& d) {
      return database.write(kMore, {std::string("changes")}, nullptr, d);
    });
  }
  static Result<void> append(Database& database, std::uint64_t from, std::size_t count) {
    std::vector<UsageRow> rows;
    for (std::uint64_t i = from; i < from + count; ++i) {
      rows.push_back(usage_row(kNow + static_cast<std::int64_t>(i), i));
    }
    return wait(30s, [&](Deadline& d) { return database.append_usage(rows, d); });
  }
  std::uintmax_t log_size() const {
    std::error_code ec;
    const std::uintmax_t size = std::filesystem::file_size(path_ + "-wal", ec);
    return ec ? 0 : size;
  }

  const std::string folder_;
  const std::string path_;
  Options options_;
  House house_;
};

TEST_F(Sqlite, KeepsWhatWasWrittenOverAnEnd) {
  for (std::int64_t i = 1; i <= 2; ++i) {
    const auto database = house_.open(options_);
    must_migrate(*database);
    must(write(*database));
    const Rows rows = must(wait(
        5s, [&](Deadline& d) { return database->read(kValue, {std::string("changes")}, {}, d); }));
    EXPECT_EQ(Value(i), rows.rows.at(0).at(0));
  }
}

TEST_F(Sqlite, KeepsItsLogUnder64MiBAlsoWhileAReaderHoldsIt) {
  constexpr std::uintmax_t kMost = 64U << 20U;
  const auto database = house_.open(options_);
  must_migrate(*database);
  std::uint64_t next = 0;
  std::uintmax_t most = 0;
  const auto append_more = [&](std::size_t count) {
    Result<void> done = append(*database, next, count);
    if (done) next += count;
    most = std::max(most, log_size());
    return done;
  };
  Other other(path_);
  other.run("BEGIN; SELECT count(*) FROM usage");
  Result<void> done;
  for (int i = 0; i < 50 && done; ++i) done = append_more(kMostUsageRows / 4);
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(Kind::exhausted, done.error().kind);
  EXPECT_TRUE(done.error().retry);
  EXPECT_FALSE(database->health().at(0).up);
  EXPECT_GT(next, 0u);
  // Once the reader has gone all is taken, also in the largest batches, and the log is short again.
  other.run("COMMIT");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(append_more(kMostUsageRows).ok());
  EXPECT_LE(most, kMost);
  EXPECT_TRUE(database->health().at(0).up);
  const Rows rows = must(wait(20s, [&](Deadline& d) { return database->read(kCount, {}, {}, d); }));
  EXPECT_EQ(Value(static_cast<std::int64_t>(next)), rows.rows.at(0).at(0));
  must(write(*database));
  EXPECT_LT(log_size(), 16U << 20U);
}

TEST_F(Sqlite, WaitsForTheLockOfAnotherProgram) {
  const auto database = house_.open(options_);
  must_migrate(*database);
  Other other(path_);
  other.run("BEGIN IMMEDIATE");
  Result<Rows> early = write(*database, 100ms);
  ASSERT_FALSE(early.ok());
  EXPECT_EQ(Kind::timeout, early.error().kind);
  std::thread later([&] { must(write(*database)); });
  EXPECT_TRUE(
      wait_until([&] { return house_.registry.sum("penstock_db_pool_pending_requests") > 0; }));
  // Readers do not wait.
  must(wait(1s, [&](Deadline& d) { return database->read(kCount, {}, {}, d); }));
  other.run("COMMIT");
  later.join();
}

TEST_F(Sqlite, NamesAFileThatCannotBeUsed) {
  options_.url = "sqlite:" + folder_ + "/nowhere/a.db";
  Result<std::unique_ptr<Database>> made = open(options_, house_.registry, house_.log);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(Kind::unreachable, made.error().kind);
  EXPECT_NE(std::string::npos, made.error().detail.find(folder_ + "/nowhere/a.db"));

  std::ofstream(path_) << std::string(8192, 'x');
  options_.url = "sqlite:" + path_;
  made = open(options_, house_.registry, house_.log);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(Kind::internal, made.error().kind);
  EXPECT_FALSE(made.error().retry);
  EXPECT_NE(std::string::npos, made.error().detail.find(path_));
  EXPECT_GE(house_.registry.sum("penstock_db_errors_total", {{"sqlstate_class", "corrupt"}}), 1);
}

}  // namespace
}  // namespace penstock::store
