// Real servers for the tests: PostgreSQL 15 with a streaming replica, pgbouncer in front, one set
// for the whole run of the program, made when the first test asks for it.
//
// All of it lives in a folder below /tmp on free ports, as the user postgres where the tests run as
// root, and ends with the program, however that ends.
#pragma once

#include <gtest/gtest.h>

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "observe/log.h"
#include "observe/metrics.h"
#include "store/database.h"

namespace penstock::store {

// A program that was started here, ended by its own id.
class Process {
 public:
  Process() = default;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() { end(SIGQUIT); }

  void start(const std::vector<std::string>& words, const std::string& log);
  bool running();
  void end(int signal);
  // It and the processes that it has made: SIGSTOP, SIGCONT.
  void tell_all(int signal) const;
  pid_t id() const { return id_; }

 private:
  pid_t id_ = -1;
};

class PostgresServer {
 public:
  // A cluster of its own, or a standby of `of`.
  PostgresServer(std::string folder, const PostgresServer* of);
  void start(const std::vector<std::string>& settings = {});
  void kill() { process_.end(SIGKILL); }  // kill -9
  void stop() { process_.end(SIGQUIT); }  // -m immediate
  void pause() const { process_.tell_all(SIGSTOP); }
  void go_on() const { process_.tell_all(SIGCONT); }
  void promote() const;

  int port() const { return port_; }
  // "postgresql://penstock:secret@127.0.0.1:port/database"
  std::string url(const std::string& database, const std::string& options = {}) const;
  // The first column of the first row; fails the test where the server refuses.
  std::string ask(const std::string& database, const std::string& sql) const;

 private:
  const std::string folder_;
  const int port_;
  Process process_;
};

struct Servers {
  Servers();
  static Servers& get();  // starts them; fails with what to install
  // A database of its own, empty.
  std::string fresh_database();

  std::string folder;
  std::unique_ptr<PostgresServer> primary, replica;
  int bouncer_port = 0;
  Process bouncer;
  int databases = 0;
};

int free_port();
std::string temporary_folder(const std::string& name);
void run(const std::vector<std::string>& words, const std::string& log);
// Until `done`, at most so long; whether it was.
bool wait_until(const std::function<bool()>& done, Duration at_most = 10s);

// What a test needs to open a Database.
struct House {
  House() : registry(1), log(observe::LogOptions{observe::Level::error}) {}
  std::unique_ptr<Database> open(const Options& options);
  observe::Registry registry;
  observe::Log log;
};

// Tests that hold for SQLite and PostgreSQL alike: a database of its own, with its tables.
//
//   class Budgets : public OfEachDatabase {};
//   INSTANTIATE_TEST_SUITE_P(Both, Budgets, each_database(), name_of_database);
class OfEachDatabase : public testing::TestWithParam<std::string_view> {
 protected:
  OfEachDatabase();
  ~OfEachDatabase() override;

  House house_;
  std::string folder_;  // SQLite's
  std::unique_ptr<Database> database_;
};
inline auto each_database() { return testing::Values("sqlite", "postgres"); }
inline std::string name_of_database(const testing::TestParamInfo<std::string_view>& which) {
  return std::string(which.param);
}

Rows must(Result<Rows> result);
void must_migrate(Database& database);
UsageRow usage_row(std::int64_t time_us, std::uint64_t number);

}  // namespace penstock::store
