// What PostgreSQL alone has: replicas, failover, servers that give no answer, a share of the
// connections for each node.
#include <gtest/gtest.h>

#include <filesystem>

#include "store/keeper.h"
#include "store/postgres_url.h"
#include "store/servers_testing.h"

namespace penstock::store {
namespace {

constexpr Statement kWhere = {"test_where", "SELECT pg_is_in_recovery()", {}, true};
constexpr Statement kSleep = {"test_sleep", "SELECT pg_sleep($1)", {}, true};
constexpr Statement kMore = {"test_more", "UPDATE counters SET value = value + 1 WHERE name = $1"};
constexpr Statement kValue = {"test_value", "SELECT value FROM counters WHERE name = $1", {}, true};
constexpr Statement kTls = {
    "test_tls", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", {}, true};
constexpr Statement kRows = {"test_rows", "SELECT count(*) FROM usage", {}, true};
constexpr std::int64_t kNow = 1'790'000'000'000'000;

const Values kChanges = {std::string("changes")};

std::int64_t number(const Result<Rows>& rows) {
  if (!rows || rows->rows.empty()) return -1;
  const auto* const value = std::get_if<std::int64_t>(&rows->rows.at(0).at(0));
  return value != nullptr ? *value : -1;
}

class Postgres : public testing::Test {
 protected:
  Postgres() : servers_(Servers::get()), name_(servers_.fresh_database()) {
    options_.url = servers_.primary->url(name_);
    options_.acquire_timeout = 2s;
  }

  Result<Rows> read(Database& database, const Statement& statement, const Values& values = {},
                    const Mark& after = {}, Duration limit = 5s) {
    return wait(limit, [&](Deadline& d) { return database.read(statement, values, after, d); });
  }
  Result<Rows> write(Database& database, const Statement& statement, const Values& values,
                     Mark* here = nullptr, Duration limit = 5s) {
    return wait(limit, [&](Deadline& d) { return database.write(statement, values, here, d); });
  }
  // The replica has this database, and is used.
  static bool replica_used(const Database& database) {
    const std::vector<Health> health = database.health();
    return health.size() > 1 && health[1].used;
  }

  Servers& servers_;
  const std::string name_;
  Options options_;
  House house_;
};

TEST_F(Postgres, ReadsOnAReplicaButForWhatItHasNotComeTo) {
  options_.replicas = {servers_.replica->url(name_)};
  const auto database = house_.open(options_);
  must_migrate(*database);
  ASSERT_TRUE(wait_until([&] { return replica_used(*database); }));
  EXPECT_EQ(1, number(read(*database, kWhere)));

  servers_.replica->ask("postgres", "SELECT pg_wal_replay_pause()");
  Mark mark;
  ASSERT_TRUE(write(*database, kMore, kChanges, &mark).ok());
  EXPECT_FALSE(mark.lsn.empty());
  EXPECT_EQ(1, number(read(*database, kValue, kChanges, mark)));  // its own write
  // Behind by more than max_lag it is left out, and says so.
  ASSERT_TRUE(wait_until([&] { return !replica_used(*database); }));
  EXPECT_EQ(0, number(read(*database, kWhere)));
  const Health seen = database->health().at(1);
  EXPECT_TRUE(seen.up);
  EXPECT_GE(seen.lag.value_or(0s), options_.max_lag);
  EXPECT_NE(std::string::npos, seen.reason.find("max_lag"));

  servers_.replica->ask("postgres", "SELECT pg_wal_replay_resume()");
  ASSERT_TRUE(wait_until([&] { return replica_used(*database); }));
  EXPECT_EQ(1, number(read(*database, kValue, kChanges, mark)));
  EXPECT_EQ(1, number(read(*database, kWhere, {}, mark)));
}

TEST_F(Postgres, DoesWithoutAReplicaThatIsNotThere) {
  options_.replicas = {"postgresql://penstock:secret@127.0.0.1:" + std::to_string(free_port()) +
                       "/" + name_};
  const auto database = house_.open(options_);
  must_migrate(*database);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(0, number(read(*database, kWhere)));
  ASSERT_TRUE(wait_until([&] { return !database->health().at(1).reason.empty(); }));
  EXPECT_FALSE(database->health().at(1).up);
}

TEST_F(Postgres, TellsEverybodyAtOnceThatAServerGivesNoAnswer) {
  const auto database = house_.open(options_);
  must_migrate(*database);
  servers_.primary->pause();
  const Time began = Clock::now();
  EXPECT_FALSE(read(*database, kValue, kChanges, {}, 300ms).ok());
  EXPECT_LT(Clock::now() - began, 700ms);
  ASSERT_TRUE(wait_until([&] { return !database->health().at(0).up; }));
  // Nobody waits any more.
  const Time then = Clock::now();
  for (int i = 0; i < 100; ++i) {
    Result<Rows> rows = read(*database, kValue, kChanges);
    ASSERT_FALSE(rows.ok());
    EXPECT_EQ(Kind::unreachable, rows.error().kind);
    EXPECT_TRUE(rows.error().retry);
  }
  EXPECT_LT(Clock::now() - then, 1s);
  servers_.primary->go_on();
  EXPECT_TRUE(wait_until([&] { return read(*database, kValue, kChanges).ok(); }));
  EXPECT_TRUE(database->health().at(0).up);
}

// A database whose server falls silent once the partitions are made.
class FallsSilent : public Database {
 public:
  FallsSilent(Database& under, const PostgresServer& server) : under_(under), server_(server) {}
  Dialect dialect() const override { return under_.dialect(); }
  std::string_view name() const override { return under_.name(); }
  Task<Result<Rows>> read(const Statement& statement, Values values, Mark after,
                          Deadline& deadline) override {
    return under_.read(statement, std::move(values), std::move(after), deadline);
  }
  Task<Result<std::vector<Rows>>> transact(std::vector<Step> steps, Mark* here,
                                           Deadline& deadline) override {
    if (steps.front().statement->name != "make_month") server_.pause();
    return under_.transact(std::move(steps), here, deadline);
  }
  Task<Result<void>> append_usage(std::vector<UsageRow> rows, Deadline& deadline) override {
    return under_.append_usage(std::move(rows), deadline);
  }
  std::vector<Health> health() const override { return under_.health(); }

 private:
  Database& under_;
  const PostgresServer& server_;
};

// It waited as long as the summing of a month may take, on what may be a node's only connection:
// nobody saw that the server was silent.
TEST_F(Postgres, DoesNotWaitLongForASilentServerWhenItTidiesUsage) {
  options_.pool_max = 1;
  const auto database = house_.open(options_);
  must_migrate(*database);
  FallsSilent silent(*database, *servers_.primary);
  const Time began = Clock::now();
  Result<std::uint64_t> done =
      wait(10min, [&](Deadline& d) { return tidy_usage(silent, kNow, 24h, d); });
  const Duration took = Clock::now() - began;
  const bool seen = wait_until([&] { return !database->health().at(0).up; });
  servers_.primary->go_on();
  ASSERT_FALSE(done.ok());
  EXPECT_LT(took, 20s);
  EXPECT_TRUE(seen);
  EXPECT_TRUE(wait_until([&] { return read(*database, kValue, kChanges).ok(); }));
}

TEST_F(Postgres, SaysThatAllConnectionsAreUsed) {
  options_.pool_max = 1;
  options_.acquire_timeout = 100ms;
  const auto database = house_.open(options_);
  must_migrate(*database);
  std::thread other([&] { EXPECT_FALSE(read(*database, kSleep, {30.0}, {}, 30s).ok()); });
  const auto busy = [&] {
    const Health health = database->health().at(0);
    return health.connections == 1 && health.idle == 0 &&
           servers_.primary->ask(name_,
                                 "SELECT count(*) FROM pg_stat_activity WHERE query LIKE "
                                 "'%pg_sleep($1)%' AND state = 'active' AND application_name = "
                                 "'penstock' AND datname = '" +
                                     name_ + "'") == "1";
  };
  EXPECT_TRUE(wait_until(busy));
  Result<Rows> rows = read(*database, kValue, kChanges);
  servers_.primary->ask(name_,
                        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE "
                        "'%pg_sleep($1)%' AND datname = '" +
                            name_ + "' AND application_name = 'penstock'");
  other.join();
  ASSERT_FALSE(rows.ok());
  EXPECT_EQ(Kind::exhausted, rows.error().kind);
  EXPECT_TRUE(rows.error().retry);
  EXPECT_GE(house_.registry.sum("penstock_db_pool_timeouts_total"), 1);
}

// A failure took all names for gone, and who prepared them again was taken for a pooler.
TEST_F(Postgres, KeepsTheNamesOfStatementsOverAFailure) {
  static constexpr Statement kWrong = {"test_wrong", "INSERT INTO counters VALUES ($1, 1)"};
  static constexpr Statement kNames = {
      "test_names",
      "SELECT count(*) FROM pg_prepared_statements WHERE left(name, 5) = 'test_'",
      {},
      true};
  options_.pool_max = 1;
  const auto database = house_.open(options_);
  must_migrate(*database);
  ASSERT_TRUE(write(*database, kMore, kChanges).ok());
  // The steps behind the one that fails are not looked at.
  std::vector<Step> steps = {Step{&kWrong, kChanges}, Step{&kMore, kChanges}};
  ASSERT_FALSE(wait(5s, [&](Deadline& d) { return database->transact(steps, nullptr, d); }).ok());
  ASSERT_TRUE(write(*database, kMore, kChanges).ok());
  EXPECT_GE(number(read(*database, kNames)), 3);
}

TEST_F(Postgres, ClosesConnectionsThatAreIdle) {
  options_.pool_idle = 300ms;
  const auto database = house_.open(options_);
  must_migrate(*database);
  ASSERT_TRUE(wait_until([&] {
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] { (void)read(*database, kSleep, {0.05}); });
    }
    for (std::thread& thread : threads) thread.join();
    return database->health().at(0).connections > 2;
  }));
  EXPECT_TRUE(wait_until([&] { return database->health().at(0).connections <= 1; }));
}

TEST_F(Postgres, SpeaksTlsAndProvesWhoTheServerIs) {
  const std::string certificate = servers_.folder + "/primary/server.crt";
  const std::string own =
      "postgresql://penstock:secret@localhost:" + std::to_string(servers_.primary->port()) + "/" +
      name_;
  options_.url = own + "?sslmode=verify-full&sslrootcert=" + certificate;
  {
    const auto database = house_.open(options_);
    EXPECT_EQ(1, number(read(*database, kTls)));
  }
  options_.url = servers_.primary->url(name_, "?sslmode=verify-full&sslrootcert=" + certificate);
  const auto database = house_.open(options_);
  Result<Rows> rows = read(*database, kTls);
  ASSERT_FALSE(rows.ok());
  EXPECT_NE(std::string::npos, rows.error().detail.find("certificate")) << rows.error().detail;
}

TEST_F(Postgres, NeverShowsThePassword) {
  options_.url =
      "postgresql://penstock:wr0ng@127.0.0.1:" + std::to_string(servers_.primary->port()) + "/" +
      name_;
  const auto database = house_.open(options_);
  Result<Rows> rows = read(*database, kValue, kChanges);
  ASSERT_FALSE(rows.ok());
  EXPECT_NE(std::string::npos, rows.error().detail.find("authentication")) << rows.error().detail;
  EXPECT_EQ(std::string::npos, rows.error().detail.find("wr0ng"));
  for (const char* const url :
       {"postgresql://u:wr0ng@h/d?nothing=1", "postgresql://u:wr0ng@h:port/d",
        "mysql://u:wr0ng@h/d", "postgresql://u:wr0ng@a,b/d?hostaddr=1.1.1.1,2.2.2.2,3.3.3.3"}) {
    Result<PostgresUrl> parsed = parse_postgres_url(url);
    ASSERT_FALSE(parsed.ok()) << url;
    EXPECT_EQ(std::string::npos, parsed.error().detail.find("wr0ng")) << parsed.error().detail;
  }
  Result<PostgresUrl> parsed = parse_postgres_url("postgresql://u:wr0ng@a,[::1]:6000/d");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ("a:5432,::1:6000/d", parsed->name);
}

// ---- restarts and failover, with servers of their own ------------------------------------------

class Failover : public testing::Test {
 protected:
  Failover() : folder_(temporary_folder("failover")) {
    first_ = std::make_unique<PostgresServer>(folder_ + "/first", nullptr);
    second_ = std::make_unique<PostgresServer>(folder_ + "/second", first_.get());
    second_->start();
    first_->ask("postgres", "CREATE DATABASE d OWNER penstock");
    options_.url = "postgresql://penstock:secret@127.0.0.1:" + std::to_string(first_->port()) +
                   ",127.0.0.1:" + std::to_string(second_->port()) + "/d";
    database_ = house_.open(options_);
    must_migrate(*database_);
  }
  ~Failover() override {
    database_.reset();
    first_.reset();
    second_.reset();
    std::filesystem::remove_all(folder_);
  }

  // Batches that are given again until they are there, as the ledger does, until told to end.
  void append_until(const std::atomic<bool>& end, std::atomic<std::int64_t>& given) {
    for (std::uint64_t i = 0; !end; ++i) {
      std::vector<UsageRow> rows;
      for (std::uint64_t j = 0; j < 10; ++j) {
        rows.push_back(usage_row(kNow + static_cast<std::int64_t>(i * 10 + j), i * 10 + j));
      }
      const auto put = [&] {
        return wait(2s, [&](Deadline& d) { return database_->append_usage(rows, d); }).ok();
      };
      EXPECT_TRUE(wait_until(put, 30s));
      given += 10;
    }
  }

  const std::string folder_;
  std::unique_ptr<PostgresServer> first_, second_;
  Options options_;
  House house_;
  std::unique_ptr<Database> database_;
};

TEST_F(Failover, WritesAgainWithinTenSecondsAndCountsEachRowOnce) {
  std::atomic<bool> end{false};
  std::atomic<std::int64_t> given{0};
  std::thread writer([&] { append_until(end, given); });
  ASSERT_TRUE(wait_until([&] { return given > 50; }));

  // Restarted at once: what was under way is tried again.
  first_->stop();
  first_->start();
  std::int64_t before = given;
  ASSERT_TRUE(wait_until([&] { return given > before + 50; }));

  // What was committed must have reached the second before the first is killed.
  end = true;
  writer.join();
  const std::string count = "SELECT count(*) FROM usage";
  ASSERT_TRUE(wait_until([&] { return second_->ask("d", count) == std::to_string(given); }));
  end = false;
  writer = std::thread([&] {
    const Time began = Clock::now();
    std::vector<UsageRow> rows = {usage_row(kNow - 1, 7)};
    EXPECT_TRUE(wait_until(
        [&] {
          return wait(1s, [&](Deadline& d) { return database_->append_usage(rows, d); }).ok() &&
                 second_->ask("d", "SELECT pg_is_in_recovery()") == "f";
        },
        30s));
    EXPECT_LT(Clock::now() - began, 10s);
  });
  first_->kill();
  second_->promote();
  writer.join();
  EXPECT_EQ(std::to_string(given + 1), second_->ask("d", count));
  EXPECT_EQ("0", second_->ask("d", "SELECT count(*) FROM usage_staging"));
}

// ---- the share of each node --------------------------------------------------------------------

class Nodes : public Postgres {
 protected:
  void start(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      options_.node = "node-" + std::to_string(i);
      nodes_.push_back(house_.open(options_));
    }
  }
  // Each node is asked more at a time than it may have connections.
  void load(std::size_t threads_each) {
    for (const auto& node : nodes_) {
      for (std::size_t i = 0; i < threads_each; ++i) {
        threads_.emplace_back([this, &database = *node] {
          while (!end_) {
            if (!read(database, kSleep, {0.02}).ok()) ++refused_;
          }
        });
      }
    }
  }
  int connections() {
    return std::stoi(servers_.primary->ask(
        "postgres",
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'penstock' AND "
        "datname = '" +
            name_ + "'"));
  }
  // The most that were seen until `done`, at most so long.
  int most_until(const std::function<bool(int)>& done, Duration at_most) {
    int most = 0;
    (void)wait_until(
        [&] {
          const int now = connections();
          most = std::max(most, now);
          return done(now);
        },
        at_most);
    return most;
  }
  ~Nodes() override {
    end_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

  std::vector<std::unique_ptr<Database>> nodes_;
  std::vector<std::thread> threads_;
  std::atomic<bool> end_{false};
  std::atomic<int> refused_{0};
};

TEST_F(Nodes, StayUnderTheTotalTogetherAlsoWhenAllStartAtOnce) {
  {
    const auto first = house_.open(options_);
    must_migrate(*first);
  }
  start(20);
  load(4);
  const int most = most_until([](int) { return false; }, 6s);
  EXPECT_LE(most, 48);
  EXPECT_GE(most, 20);
}

TEST_F(Nodes, ShareTheTotalAndTakeWhatOthersLeave) {
  {
    const auto first = house_.open(options_);
    must_migrate(*first);
  }
  start(1);
  load(60);
  // One alone has nearly all of it.
  EXPECT_LE(most_until([](int now) { return now >= 40; }, 10s), 48);
  EXPECT_GE(connections(), 40);
  // Two more come: the first gives back, and they grow.
  start(2);
  const int most = most_until([](int) { return false; }, 5s);
  EXPECT_LE(most, 48);
  end_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  end_ = false;
  std::vector<Health> each;
  load(30);
  EXPECT_TRUE(wait_until([&] {
    return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) {
      const unsigned open = node->health().at(0).connections;
      return open >= 12 && open <= 16;
    });
  }));
  EXPECT_LE(connections(), 48);
}

}  // namespace
}  // namespace penstock::store
