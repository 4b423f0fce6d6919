#include "app/stores.h"

#include "app/doors.h"
#include "gateway/standing.h"

namespace penstock::app {
namespace {

constexpr Duration kAtStart = 5s;   // for a database that is there but slow
constexpr Duration kAgain = 500ms;  // until the next try, where it is not

bool away(const Error& error) {
  return error.kind == Kind::unreachable || error.kind == Kind::timeout ||
         error.kind == Kind::exhausted;
}

Error in_store(Error error) {
  error.detail = "store.url: " + error.detail;
  return error;
}

}  // namespace

store::Options store_options(const settings::Settings& settings) {
  const settings::Store& store = settings.store;
  store::Options options;
  options.url = store.url;
  options.replicas = store.replicas;
  options.max_lag = store.max_lag;
  options.pool_max = store.pool.max;
  options.pool_total = store.pool.total;
  options.pool_idle = store.pool.idle;
  options.acquire_timeout = store.pool.acquire_timeout;
  options.usage_keep = store.usage.keep;
  options.record_text = store.usage.record_text != settings::RecordText::none;
  return options;
}

CacheScope scope_of(settings::Scope scope) {
  switch (scope) {
    case settings::Scope::key: return CacheScope::key;
    case settings::Scope::tenant: return CacheScope::tenant;
    case settings::Scope::shared: break;
  }
  return CacheScope::shared;
}

std::vector<access::Tenant> tenants_of(const settings::Settings& settings) {
  std::vector<access::Tenant> tenants;
  for (const settings::Tenant& given : settings.tenants) {
    access::Tenant tenant;
    tenant.name = given.name;
    tenant.models = given.models;
    tenant.limits = gateway::limits_of(given.limits);
    if (given.cache.scope) tenant.scope = scope_of(*given.cache.scope);
    tenants.push_back(std::move(tenant));
  }
  return tenants;
}

Result<void> Stores::open(const settings::Settings& settings, unsigned workers) {
  Result<std::unique_ptr<store::Database>> opened =
      store::open(store_options(settings), registry_, log_);
  if (!opened) return in_store(std::move(opened).error());
  database_ = *std::move(opened);
  Result<void> prepared = prepare(settings);
  if (!prepared) return prepared;

  store::LedgerOptions options;
  options.folder = store::spool_folder(settings.store.url);
  options.workers = workers;
  options.queue = settings.store.usage.queue;
  options.flush = settings.store.usage.flush;
  ledger_ = std::make_unique<store::Ledger>(options, *database_, registry_, log_);
  Result<void> started = ledger_->start();
  if (!started) return in_store(std::move(started).error());
  house_.ledger = ledger_.get();
  return open_door(settings);
}

// Brings the tables up to date, and finds the secret of keys.
Result<void> Stores::prepare(const settings::Settings& settings) {
  secret_ = settings.secret;
  const Result<int> migrated = store::wait(
      kAtStart, [&](Deadline& deadline) { return store::migrate(*database_, deadline); });
  if (!migrated && !away(migrated.error())) return in_store(migrated.error());
  if (!migrated) {
    log_.warning("the database is away: usage waits in its files, and unknown keys are refused",
                 {{"reason", migrated.error().detail}});
    if (secret_.empty() && settings.auth.mode != settings::AuthMode::none) {
      Error error = in_store(migrated.error());
      error.detail += "; and without `secret`, or PENSTOCK_SECRET, no key can be told from another";
      return error;
    }
    migrate_later();
  } else if (secret_.empty()) {
    Result<std::string> kept = store::wait(
        kAtStart, [&](Deadline& deadline) { return access::secret_of(*database_, deadline); });
    if (!kept) return in_store(std::move(kept).error());
    secret_ = *std::move(kept);
  }
  return {};
}

void Stores::migrate_later() {
  migration_ = std::thread([this] {
    while (!closing_) {
      const Result<int> migrated =
          store::wait(2s, [&](Deadline& deadline) { return store::migrate(*database_, deadline); });
      if (migrated) {
        log_.info("the database is there", {});
        return;
      }
      if (!away(migrated.error())) {
        log_.error("the database cannot be used", {{"reason", migrated.error().detail}});
        return;
      }
      std::this_thread::sleep_for(kAgain);
    }
  });
}

Result<void> Stores::open_door(const settings::Settings& settings) {
  office_ =
      std::make_unique<access::Office>(*database_, secret_, [](std::string_view) { return false; });
  if (settings.auth.mode == settings::AuthMode::none) return {};
  access::KeyBookOptions options;
  options.secret = secret_;
  options.tenants = tenants_of(settings);
  options.scope = scope_of(settings.cache.scope);
  keys_ = std::make_unique<access::KeyBook>(options, *database_, registry_, log_);
  keys_->start();
  house_.door = std::make_unique<KeyDoor>(*keys_);
  house_.method = gateway::AuthMethod::key;
  return {};
}

void Stores::configure(const settings::Settings& settings) {
  if (keys_) keys_->configure(tenants_of(settings), scope_of(settings.cache.scope));
}

void Stores::close(Time until) {
  if (closing_.exchange(true)) return;
  if (migration_.joinable()) migration_.join();
  house_.door.reset();
  keys_.reset();
  if (ledger_) ledger_->stop(until);
}

}  // namespace penstock::app
