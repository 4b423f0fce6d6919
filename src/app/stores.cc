#include "app/stores.h"

#include <algorithm>

#include "app/doors.h"
#include "gateway/standing.h"
#include "observe/process.h"
#include "store/usage.h"

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

// What the ledger knows of an owner's spending in the period under way.
Task<Result<Nano>> spent_by(store::Database& database, limit::Owner owner, std::string name,
                            limit::Period period, WallTime wall, Deadline& deadline) {
  store::SpendOf of = store::SpendOf::all;
  switch (owner) {
    case limit::Owner::key: of = store::SpendOf::key; break;
    case limit::Owner::tenant: of = store::SpendOf::tenant; break;
    case limit::Owner::model: of = store::SpendOf::model; break;
    case limit::Owner::global: break;
  }
  // The subject of a token is written down without its tenant.
  if (owner == limit::Owner::key) name.erase(0, name.find('/') + 1);
  const auto us = [](WallTime time) {
    return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  };
  const WallTime begin = limit::begin_of(period, wall);
  Result<Nano> sum =
      co_await store::spend(database, of, std::move(name), us(begin), us(wall) + 1, deadline);
  co_return sum;
}

std::uint64_t memory_limit(const settings::Settings& settings) {
  return settings.memory.limit ? settings.memory.limit->count : observe::memory_limit_bytes();
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
  options.written = house_.rows_written;
  ledger_ = std::make_unique<store::Ledger>(options, *database_, registry_, log_);
  Result<void> started = ledger_->start();
  if (!started) return in_store(std::move(started).error());
  house_.ledger = ledger_.get();
  house_.database = database_.get();
  house_.spent = [this](limit::Owner owner, std::string name, limit::Period period, WallTime wall,
                        Deadline& deadline) {
    return spent_by(*database_, owner, std::move(name), period, wall, deadline);
  };
  keeper_ = std::make_unique<store::Keeper>(*database_, settings.store.usage.keep, log_);
  chronicle_ = std::make_unique<Chronicle>(*database_, log_);
  if (const std::uint32_t most = settings.cache.warm.popular; most > 0) {
    popular_ = std::make_unique<gateway::Popular>(most);
    popularity_ = std::make_unique<Popularity>(*popular_, *database_, log_);
    house_.popular = popular_.get();
  }
  Result<void> opened_door = open_door(settings);
  if (!opened_door) return opened_door;
  return join_company(settings);
}

// What is told of it is what the program goes by, and not what the machine would give.
void Stores::limit_memory(const settings::Settings& settings) {
  memory_limit_ = memory_limit(settings);
  house_.memory.set_limit(memory_limit_);
  registry_.watch(observe::Type::gauge, "penstock_memory_limit_bytes", {}, {},
                  [this] { return static_cast<double>(memory_limit_.load()); });
}

void Stores::keep_budgets(const settings::Settings& settings) {
  budgets_ = std::make_unique<BudgetKeeper>(house_.budgets, *database_, settings.store.usage.keep,
                                            memory_limit_, log_);
}

Result<void> Stores::join_company(const settings::Settings& settings) {
  const settings::Cache::Redis& given = settings.cache.redis;
  if (!given.urls.empty()) {
    redis::Options options;
    options.urls = given.urls;
    options.sentinel = given.sentinel;
    options.username = given.username;
    options.password = given.password;
    options.ca = given.ca;
    options.connections = given.connections;
    options.timeout = given.timeout;
    options.standing = redis::Standing::make(registry_);
    house_.redis = std::move(options);
    house_.tracking = given.tracking;
  }
  engagement::Options watched;
  watched.shared = house_.redis.has_value();
  engagement_ = std::make_unique<engagement::Engagement>(watched, registry_);
  house_.engagement = engagement_.get();

  Company::Parts parts;
  if (house_.redis && settings.limits.shared != settings::LimitsShared::local) {
    Random random;
    const Uuid name = make_uuid7(0, random);
    parts.limits = limit::Shared::make(std::string(text(name)), given.timeout);
    limit::Shared::show(registry_, parts.limits);
    house_.limiter.share(parts.limits);
  }
  parts.engagement = engagement_.get();
  parts.house = &house_;
  parts.tracking = given.tracking;
  limit_memory(settings);
  // Before the first request comes, which may be a large one.
  house_.memory.look([] { return observe::resident_bytes(); });
  parts.look_at_memory = [this] { look_at_memory(); };
  parts.keys_changed = [this] {
    if (keys_) keys_->look_now();
  };
  Result<std::unique_ptr<Company>> made = Company::make(house_.redis, std::move(parts), log_);
  if (!made) {
    Error error = std::move(made).error();
    error.detail = "cache.redis: " + error.detail;
    return error;
  }
  company_ = *std::move(made);
  house_.purger = &company_->purges();
  company_->start();
  return {};
}

// Brings the tables up to date, and finds the secret of keys.
Result<void> Stores::prepare(const settings::Settings& settings) {
  secret_ = settings.secret;
  keep_ = settings.store.usage.keep;
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
  name_tenants(settings);
  if (settings.auth.mode == settings::AuthMode::none) {
    lend_records();
    return {};
  }
  access::KeyBookOptions options;
  options.secret = secret_;
  options.tenants = tenants_of(settings);
  options.scope = scope_of(settings.cache.scope);
  keys_ = std::make_unique<access::KeyBook>(options, *database_, registry_, log_);
  keys_->start();
  lend_records();
  if (settings.auth.mode == settings::AuthMode::keys) {
    house_.door = std::make_unique<BookDoor<access::KeyBook>>("key", *keys_);
    house_.method = gateway::AuthMethod::key;
    return {};
  }
  access::TokensOptions tokens;
  tokens.rules = {settings.auth.jwt.issuer, settings.auth.jwt.audience,
                  settings.auth.jwt.tenant_claim};
  tokens.jwks_url = settings.auth.jwt.jwks_url;
  tokens.scope = scope_of(settings.cache.scope);
  Result<std::unique_ptr<access::Tokens>> made =
      access::Tokens::make(std::move(tokens), *keys_, registry_, log_);
  if (!made) return made.error();
  tokens_ = *std::move(made);
  tokens_->start();
  house_.door = std::make_unique<BookDoor<access::Tokens>>("jwt", *tokens_);
  house_.method = gateway::AuthMethod::jwt;
  return {};
}

void Stores::lend_records() {
  const auto configured = [this](std::string_view name) {
    const std::lock_guard lock(mutex_);
    return std::find(tenants_.begin(), tenants_.end(), name) != tenants_.end();
  };
  const auto changed = [this] {
    if (keys_) keys_->look_now();
    if (company_) company_->tell_keys_changed();
  };
  records_ = std::make_unique<admin::Records>(
      admin::Records{*database_, secret_, keep_, configured, changed});
}

void Stores::name_tenants(const settings::Settings& settings) {
  const std::lock_guard lock(mutex_);
  tenants_.clear();
  for (const settings::Tenant& tenant : settings.tenants) tenants_.push_back(tenant.name);
}

// Near the limit the cache gives back what is too much; far from it, it may grow again.
void Stores::look_at_memory() {
  constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();
  house_.memory.look([] { return observe::resident_bytes(); });
  const std::uint64_t excess = house_.memory.excess();
  if (excess > 0) {
    const std::uint64_t used = house_.cache.stats().bytes;
    house_.cache.set_room(used > excess ? used - excess : 0);
    // Vectors leave a graph only when it is made anew, which takes as much again: all or none.
    if (used <= excess && house_.semantic.stats().entries > 0) {
      log_.warning("the semantic index is given up: memory is short",
                   {{"setting", "memory.limit"}});
      house_.semantic.clear();
    }
    observe::trim_memory();
    shrunk_ = true;
  } else if (shrunk_) {
    house_.cache.set_room(kAll);
    shrunk_ = false;
  }
}

void Stores::configure(const settings::Settings& settings) {
  limit_memory(settings);
  name_tenants(settings);
  if (keys_) keys_->configure(tenants_of(settings), scope_of(settings.cache.scope));
  if (tokens_) tokens_->configure(scope_of(settings.cache.scope));
}

void Stores::close(Time until) {
  if (closing_.exchange(true)) return;
  if (migration_.joinable()) migration_.join();
  company_.reset();
  house_.door.reset();
  tokens_.reset();
  keys_.reset();
  if (popularity_) popularity_->end(until);
  if (budgets_) budgets_->end(until);
  chronicle_.reset();
  if (ledger_) ledger_->stop(until);
  keeper_.reset();
}

}  // namespace penstock::app
