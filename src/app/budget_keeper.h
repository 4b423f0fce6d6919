// Keeps the account of the budgets, on a thread of its own: takes what the workers counted and
// looks how full things are, each second; writes it down and reads what other nodes counted, now
// and then.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/task.h"
#include "budget/account.h"
#include "observe/log.h"
#include "observe/metrics.h"
#include "store/budgets.h"
#include "store/database.h"

namespace penstock::app {

// What is shown of the budgets among the metrics. The account must outlive the registry's scrapes.
void watch_budgets(observe::Registry& registry, const budget::Account& account);

class BudgetKeeper {
 public:
  // `keep`: how long what was counted stays in the store. `memory_limit`: in bytes.
  BudgetKeeper(budget::Account& account, store::Database& database, Duration keep,
               const std::atomic<std::uint64_t>& memory_limit, observe::Log& log);
  BudgetKeeper(const BudgetKeeper&) = delete;
  BudgetKeeper& operator=(const BudgetKeeper&) = delete;
  ~BudgetKeeper() { end(Clock::now()); }

  // Behind the last request. Writes what is there until then, at most.
  void end(Time until);

 private:
  budget::Account::Levels levels();
  void tick();
  void run();
  Task<Result<void>> keep(std::int64_t now, Deadline& deadline);
  Task<Result<void>> write_down(Deadline& deadline);
  Task<Result<void>> read_all(std::int64_t now, Deadline& deadline);
  Task<Result<void>> read_recent(std::int64_t now, Deadline& deadline);
  std::vector<budget::Account::Minute> known(const std::vector<store::BudgetCount>& counts) const;
  void tell_of_given_up();

  budget::Account& account_;
  store::Database& database_;
  const std::int64_t keep_minutes_;
  const std::atomic<std::uint64_t>& memory_limit_;
  observe::Log& log_;
  const std::string source_;  // this process, among those that write
  Time looked_{};
  double cpu_seconds_ = 0;  // used until then
  double cores_ = 1;
  std::int64_t all_read_ = 0, recent_read_ = 0;  // in which minute
  std::uint64_t told_given_up_ = 0;
  std::mutex mutex_;  // of ended_
  std::condition_variable wake_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace penstock::app
