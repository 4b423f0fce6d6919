// What the program keeps outside its workers: the database, the ledger, who is whose key.
//
//   open()   the database; its tables are brought up to date; the ledger takes what an earlier run
//            left; keys can be found
//   close()  the ledger writes what there is
//
// A PostgreSQL that is away does not keep the gateway from its work: the ledger's rows wait in
// their files, known keys go on, and the tables are looked after as soon as it is there.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "access/access.h"
#include "admin/records.h"
#include "app/budget_keeper.h"
#include "app/chronicle.h"
#include "app/company.h"
#include "app/popularity.h"
#include "gateway/gateway.h"
#include "settings/settings.h"
#include "store/keeper.h"
#include "store/ledger.h"

namespace penstock::app {

// The store of the settings, for the program and for commands beside it.
store::Options store_options(const settings::Settings& settings);
// The tenants of the configuration.
std::vector<access::Tenant> tenants_of(const settings::Settings& settings);
CacheScope scope_of(settings::Scope scope);

class Stores {
 public:
  Stores(gateway::House& house, observe::Registry& registry, observe::Log& log)
      : house_(house), registry_(registry), log_(log) {}
  Stores(const Stores&) = delete;
  Stores& operator=(const Stores&) = delete;
  ~Stores() { close(Clock::now()); }

  // Before the workers are made. The Error names the setting that is in the way.
  Result<void> open(const settings::Settings& settings, unsigned workers);
  // Behind the look at how many descriptors the program holds for itself: it asks the store at
  // once.
  void keep_budgets(const settings::Settings& settings);
  // What of other settings takes effect while the program runs.
  void configure(const settings::Settings& settings);
  // After the workers have ended.
  void close(Time until);

  store::Database& database() { return *database_; }
  // Into the audit log. After open().
  Chronicle& chronicle() { return *chronicle_; }
  // For the admin listener.
  const admin::Records& records() const { return *records_; }

 private:
  Result<void> prepare(const settings::Settings& settings);
  Result<void> join_company(const settings::Settings& settings);
  Result<void> open_door(const settings::Settings& settings);
  void lend_records();
  void name_tenants(const settings::Settings& settings);
  void migrate_later();
  void look_at_memory();
  void limit_memory(const settings::Settings& settings);

  gateway::House& house_;
  observe::Registry& registry_;
  observe::Log& log_;
  std::unique_ptr<store::Database> database_;
  std::unique_ptr<store::Ledger> ledger_;
  std::unique_ptr<store::Keeper> keeper_;
  std::unique_ptr<gateway::Popular> popular_;  // where cache.warm.popular is set
  std::unique_ptr<Popularity> popularity_;
  std::unique_ptr<BudgetKeeper> budgets_;
  std::unique_ptr<Chronicle> chronicle_;
  std::unique_ptr<engagement::Engagement> engagement_;
  std::unique_ptr<access::KeyBook> keys_;
  std::unique_ptr<access::Tokens> tokens_;  // where auth.mode is jwt
  std::unique_ptr<admin::Records> records_;
  std::unique_ptr<Company> company_;
  mutable std::mutex mutex_;          // of tenants_
  std::vector<std::string> tenants_;  // the names of those that are configured
  std::string secret_;
  Duration keep_{};
  std::atomic<std::uint64_t> memory_limit_{0};  // bytes
  bool shrunk_ = false;                         // the cache, for want of memory
  std::atomic<bool> closing_{false};
  std::thread migration_;  // while the database is away at the start
};

}  // namespace penstock::app
