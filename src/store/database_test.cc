// One suite over every database that there is: SQLite, PostgreSQL, PostgreSQL behind pgbouncer.
#include "store/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "store/migrations.h"
#include "store/servers_testing.h"

namespace penstock::store {
namespace {

constexpr Statement kPut = {"test_put", "INSERT INTO meta (name, value) VALUES ($1, $2)"};
constexpr Statement kGet = {"test_get", "SELECT value FROM meta WHERE name = $1", {}, true};
constexpr Statement kMore = {"test_more", "UPDATE counters SET value = value + $2 WHERE name = $1"};
constexpr Statement kValue = {"test_value", "SELECT value FROM counters WHERE name = $1", {}, true};
constexpr Statement kFeedback = {
    "test_feedback",
    "INSERT INTO feedback (id, time_us, request_id, tenant, key, rating, comment, model) VALUES "
    "($1, $2, $3, $4, $5, $6, $7, $8)"};
constexpr Statement kRead = {"test_read",
                             "SELECT id, time_us, request_id, tenant, key, rating, comment, model "
                             "FROM feedback WHERE id = $1",
                             {},
                             true};
constexpr Statement kCount = {
    "test_count", "SELECT count(*), sum(count), sum(cost_nano) FROM usage", {}, true};
constexpr Statement kRow = {
    "test_row",
    "SELECT tenant, question, first_token_us, complexity, id FROM usage WHERE time_us = $1",
    {},
    true};

constexpr std::int64_t kNow = 1'790'000'000'000'000;  // in September 2026

class AnyDatabase : public testing::TestWithParam<std::string_view> {
 protected:
  AnyDatabase() {
    if (GetParam() == "sqlite") {
      folder_ = temporary_folder("sqlite");
      options_.url = "sqlite:" + folder_ + "/a.db";
    } else {
      Servers& servers = Servers::get();
      name_ = servers.fresh_database();
      options_.url = servers.primary->url(name_);
      if (GetParam() == "pgbouncer") {
        options_.url =
            "postgresql://penstock:secret@127.0.0.1:" + std::to_string(servers.bouncer_port) + "/" +
            name_;
      }
    }
    options_.acquire_timeout = 5s;
    database_ = house_.open(options_);
    must_migrate(*database_);
  }
  ~AnyDatabase() override {
    database_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  Rows read(const Statement& statement, Values values) {
    return must(wait(10s, [&](Deadline& d) { return database_->read(statement, values, {}, d); }));
  }
  Rows write(const Statement& statement, Values values) {
    return must(
        wait(10s, [&](Deadline& d) { return database_->write(statement, values, nullptr, d); }));
  }
  Result<std::vector<Rows>> transact(std::vector<Step> steps) {
    return wait(10s, [&](Deadline& d) { return database_->transact(steps, nullptr, d); });
  }
  Result<void> append(const std::vector<UsageRow>& rows) {
    return wait(20s, [&](Deadline& d) { return database_->append_usage(rows, d); });
  }

  std::string folder_;
  std::string name_;
  Options options_;
  House house_;
  std::unique_ptr<Database> database_;
};

TEST_P(AnyDatabase, GivesBackEachKindOfValueAsItWas) {
  const std::string bytes("\x00\x01\xFF'\\x", 6);
  EXPECT_EQ(1u, write(kPut, {std::string("a"), Blob{bytes}}).changed);
  const Rows rows = read(kGet, {std::string("a")});
  ASSERT_EQ(1u, rows.rows.size());
  EXPECT_EQ(Value(Blob{bytes}), rows.rows[0][0]);
  write(kMore, {std::string("changes"), std::int64_t{1} << 40});
  EXPECT_EQ(Value(std::int64_t{1} << 40), read(kValue, {std::string("changes")}).rows[0][0]);
  EXPECT_TRUE(read(kGet, {std::string("nobody")}).rows.empty());
}

TEST_P(AnyDatabase, TakesSqlInEveryFieldAsText) {
  const std::string evil = "'; DROP TABLE feedback; --\" $1 \\ %s \n\t ${x} \xF0\x9F\x98\x80";
  Values values;
  for (int i = 0; i < 8; ++i) {
    values.push_back(i == 1 ? Value(std::int64_t{7}) : Value(evil + std::to_string(i)));
  }
  write(kFeedback, values);
  const Rows rows = read(kRead, {evil + "0"});
  ASSERT_EQ(1u, rows.rows.size());
  EXPECT_EQ(values, rows.rows[0]);
  UsageRow row = usage_row(kNow, 1);
  row.tenant = row.key = row.model = row.engine = row.route = row.session = row.error = evil;
  ASSERT_TRUE(append({row}).ok());
  EXPECT_EQ(Value(evil), read(kRow, {kNow}).rows[0][0]);
}

TEST_P(AnyDatabase, KeepsTextThatNoDatabaseTakesWithReplacements) {
  Values values(8, Value(std::string("x")));
  values[1] = std::int64_t{1};
  values[6] = std::string("a\0b\xFFz\xED\xA0\x80", 8);
  write(kFeedback, values);
  EXPECT_EQ(Value("a\uFFFDb\uFFFDz\uFFFD\uFFFD\uFFFD"), read(kRead, {std::string("x")}).rows[0][6]);
}

TEST_P(AnyDatabase, DoesAllTheStepsOfATransactionOrNone) {
  const std::string name = "changes";
  Result<std::vector<Rows>> done =
      transact({Step{&kMore, {name, std::int64_t{5}}}, Step{&kValue, {name}},
                Step{&kPut, {std::string("b"), Blob{"1"}}}});
  ASSERT_TRUE(done.ok()) << done.error().detail;
  ASSERT_EQ(3u, done->size());
  EXPECT_EQ(Value(std::int64_t{5}), (*done)[1].rows[0][0]);
  done =
      transact({Step{&kMore, {name, std::int64_t{5}}}, Step{&kPut, {std::string("b"), Blob{"2"}}},
                Step{&kMore, {name, std::int64_t{5}}}});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(Kind::refused, done.error().kind);
  EXPECT_FALSE(done.error().retry);
  EXPECT_EQ(Value(std::int64_t{5}), read(kValue, {name}).rows[0][0]);
  EXPECT_EQ(Value(Blob{"1"}), read(kGet, {std::string("b")}).rows[0][0]);
}

TEST_P(AnyDatabase, CountsEachUsageRowOnceHoweverOftenItIsGiven) {
  std::vector<UsageRow> rows;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    rows.push_back(usage_row(kNow + static_cast<std::int64_t>(i), i));
  }
  ASSERT_TRUE(append(rows).ok());
  ASSERT_TRUE(append(rows).ok());
  // Another batch that has some of them, and rows of another month.
  rows.resize(500);
  rows.push_back(usage_row(kNow - 40'000'000'000'000'0, 5000));
  rows.push_back(usage_row(kNow + 40'000'000'000'000'0, 5001));
  Result<void> done = append(rows);
  ASSERT_TRUE(done.ok()) << done.error().detail;
  const Rows sums = read(kCount, {});
  EXPECT_EQ(Value(std::int64_t{1002}), sums.rows[0][0]);
  EXPECT_EQ(Value(std::int64_t{1002}), sums.rows[0][1]);
  EXPECT_EQ(Value(std::int64_t{1'002'000}), sums.rows[0][2]);
}

TEST_P(AnyDatabase, KeepsNoTextOfQuestionsUnlessAskedTo) {
  UsageRow row = usage_row(kNow, 2);
  row.question = "what?";
  row.complexity = 0.25;
  ASSERT_TRUE(append({row}).ok());
  const Rows rows = read(kRow, {kNow});
  ASSERT_EQ(1u, rows.rows.size());
  EXPECT_EQ(Value(std::string()), rows.rows[0][1]);
  EXPECT_EQ(Value(std::int64_t{900}), rows.rows[0][2]);
  EXPECT_EQ(Value(0.25), rows.rows[0][3]);
  EXPECT_EQ(Value(std::string(text(row.id))), rows.rows[0][4]);
}

TEST_P(AnyDatabase, AnswersManyAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 25; ++j) {
        Result<Rows> done = wait(10s, [&](Deadline& d) {
          return database_->write(kMore, {std::string("changes"), std::int64_t{1}}, nullptr, d);
        });
        if (done) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(200, good.load());
  EXPECT_EQ(Value(std::int64_t{200}), read(kValue, {std::string("changes")}).rows[0][0]);
}

TEST_P(AnyDatabase, TakesRowsOfAMonthThatSeveralWritersComeToAtOnce) {
  constexpr int kMonths = 24;
  constexpr int kWriters = 4;
  // A new node has one connection until it has seen the others.
  ASSERT_TRUE(database_->dialect() == Dialect::sqlite || wait_until([&] {
                return house_.registry.sum("penstock_db_pool_connections_max") >= kWriters;
              }));
  std::vector<std::string> failures;
  std::mutex mutex;
  for (int month = 0; month < kMonths; ++month) {
    const std::int64_t time = kNow + (month + 2) * 31 * 86'400'000'000;
    std::vector<std::thread> writers;
    for (int i = 0; i < kWriters; ++i) {
      writers.emplace_back([&, i] {
        const auto number = static_cast<std::uint64_t>(month * kWriters + i);
        Result<void> done = append({usage_row(time, 10'000 + number)});
        const std::lock_guard lock(mutex);
        if (!done) failures.push_back(done.error().detail);
      });
    }
    for (std::thread& writer : writers) writer.join();
  }
  EXPECT_THAT(failures, testing::IsEmpty());
  EXPECT_EQ(Value(std::int64_t{kMonths * kWriters}), read(kCount, {}).rows[0][0]);
}

TEST_P(AnyDatabase, LetsTwoNodesMigrateAtOnce) {
  const std::unique_ptr<Database> other = [&] {
    Options options = options_;
    if (folder_.empty()) {
      const std::string fresh = Servers::get().fresh_database();
      options.url.replace(options.url.rfind('/') + 1, std::string::npos, fresh);
    } else {
      options.url = "sqlite:" + folder_ + "/b.db";
    }
    options_ = options;
    return house_.open(options);
  }();
  const std::unique_ptr<Database> another = house_.open(options_);
  std::atomic<int> applied{0};
  const auto go = [&](Database& database) {
    Result<int> done = wait(20s, [&](Deadline& d) { return migrate(database, d); });
    EXPECT_TRUE(done.ok()) << done.error().detail;
    if (done) applied += *done;
  };
  std::thread one([&] { go(*other); });
  std::thread two([&] { go(*another); });
  one.join();
  two.join();
  EXPECT_EQ(versions().size(), static_cast<std::size_t>(applied.load()));
}

TEST_P(AnyDatabase, RefusesADatabaseThatIsNewerThanTheProgram) {
  static constexpr Statement kNewer = {
      "test_newer", "INSERT INTO schema_version (version, applied_us) VALUES (999, 0)"};
  write(kNewer, {});
  Result<int> done = wait(10s, [&](Deadline& d) { return migrate(*database_, d); });
  ASSERT_FALSE(done.ok());
  EXPECT_NE(std::string::npos, done.error().detail.find("newer Penstock")) << done.error().detail;
}

TEST_P(AnyDatabase, EndsAnAnswerThatTakesTooLong) {
  static constexpr Statement kSlow = {
      "test_slow", "SELECT pg_sleep(30)",
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT "
      "max(i) FROM n",
      true};
  const Time began = Clock::now();
  Result<Rows> done = wait(200ms, [&](Deadline& d) { return database_->read(kSlow, {}, {}, d); });
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(Kind::timeout, done.error().kind);
  EXPECT_EQ(Source::store, done.error().source);
  EXPECT_LT(Clock::now() - began, 2s);
  // A slow statement is not a server that is away.
  EXPECT_TRUE(read(kGet, {std::string("nobody")}).rows.empty());
}

TEST_P(AnyDatabase, SaysHowItIsWithoutAPassword) {
  read(kGet, {std::string("nobody")});
  const std::vector<Health> health = database_->health();
  ASSERT_EQ(1u, health.size());
  EXPECT_TRUE(health[0].up);
  EXPECT_GE(health[0].connections, 1u);
  EXPECT_EQ(std::string::npos, health[0].name.find("secret"));
  std::string metrics;
  house_.registry.render(metrics, observe::Format::text);
  EXPECT_NE(std::string::npos, metrics.find("penstock_db_up{role=\"primary\"")) << metrics;
  EXPECT_NE(std::string::npos,
            metrics.find("db_query_duration_seconds_bucket{operation=\"test_get\""));
  EXPECT_NE(std::string::npos, metrics.find("penstock_db_pool_connections_max"));
  EXPECT_EQ(std::string::npos, metrics.find("secret"));
}

INSTANTIATE_TEST_SUITE_P(Each, AnyDatabase, testing::Values("sqlite", "postgres", "pgbouncer"),
                         [](const auto& which) { return std::string(which.param); });

}  // namespace
}  // namespace penstock::store
