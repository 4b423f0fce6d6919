#include "access/key_book.h"

#include "base/sleep.h"

namespace penstock::access {
namespace {

constexpr std::int64_t kPage = 500;
constexpr Duration kLookUp = 2s;    // one question to the database
constexpr Duration kCatchUp = 10s;  // all pages of what has changed

Refused refused(Refused::Why why, std::string detail) { return {why, std::move(detail)}; }

std::string in_words(Refused::Why why) {
  switch (why) {
    case Refused::Why::expired: return "the key has expired";
    case Refused::Why::revoked: return "the key was revoked or replaced";
    default: return "there is no such key";
  }
}

std::string bytes_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

bool to_digest(const std::string& bytes, Digest& out) {
  if (bytes.size() != out.size()) return false;
  std::memcpy(out.data(), bytes.data(), out.size());
  return true;
}

}  // namespace

struct KeyBook::Counts {
  std::atomic<std::uint64_t> look_ups{0};
  std::atomic<std::uint64_t> changes{0};
};

KeyBook::KeyBook(KeyBookOptions options, store::Database& database, observe::Registry& registry,
                 observe::Log& log)
    : options_(std::move(options)),
      database_(database),
      log_(log),
      hasher_(options_.secret),
      tenants_(options_.tenants),
      scope_(options_.scope),
      callers_(std::make_shared<Callers>(options_.known, options_.refused)),
      counts_(std::make_shared<Counts>()) {
  show(registry, callers_, counts_);
}

void KeyBook::declare(observe::Registry& registry) { show(registry, nullptr, nullptr); }

void KeyBook::show(observe::Registry& registry, const std::shared_ptr<Callers>& callers,
                   const std::shared_ptr<Counts>& counts) {
  const auto watch = [&](observe::Type type, const char* name, const char* help,
                         const auto& counted, const auto& read) {
    registry.watch(type, name, help, {},
                   [weak = std::weak_ptr(counted), read]() -> std::optional<double> {
                     const auto held = weak.lock();
                     return held ? std::optional(static_cast<double>(read(*held))) : std::nullopt;
                   });
  };
  watch(observe::Type::gauge, "penstock_known_keys",
        "Keys that are known without asking the database.", callers,
        [](const Callers& known) { return known.size(); });
  watch(observe::Type::counter, "penstock_key_lookups_total",
        "Questions to the database for a key that was not known.", counts,
        [](const Counts& counted) { return counted.look_ups.load(); });
  watch(observe::Type::counter, "penstock_key_changes_total",
        "Changes of keys and tenants that were taken over from the database.", counts,
        [](const Counts& counted) { return counted.changes.load(); });
}

KeyBook::~KeyBook() {
  if (!thread_.joinable()) return;
  asio::post(loop_.executor(), [this] {
    until_.call_off(Why::draining);
    // What was called off ends before the loop does.
    asio::post(loop_.executor(), [this] { loop_.stop(); });
  });
  thread_.join();
}

void KeyBook::start() {
  if (thread_.joinable()) return;
  asio::post(loop_.executor(), [this] { loop_.spawn(keep_asking()); });
  thread_ = std::thread([this] { loop_.run(); });
}

CallerPtr KeyBook::known(std::string_view key, WallTime now) const {
  if (key.size() != kKeyBytes) return nullptr;
  return callers_->known(hasher_.digest(key), now);
}

Task<Result<CallerPtr, Refused>> KeyBook::find(std::string key, WallTime now, Deadline& deadline) {
  using Answer = Result<CallerPtr, Refused>;
  if (key.empty()) co_return Answer(refused(Refused::Why::missing, "there is no key"));
  if (!well_formed(key)) {
    co_return Answer(refused(Refused::Why::malformed, "it is not written as a key is"));
  }
  const Digest digest = hasher_.digest(key);
  CallerPtr known = callers_->known(digest, now);
  if (known != nullptr) co_return Answer(std::move(known));
  const std::optional<Refused::Why> lately = callers_->refused(digest, Clock::now());
  if (lately) co_return Answer(refused(*lately, in_words(*lately)));

  const AskPtr who = std::make_shared<Ask>(deadline.loop());
  asio::post(loop_.executor(), [this, digest, now, who] { ask(digest, now, who); });
  Deadline patience(deadline, Clock::now() + options_.patience);
  Result<void> woken = co_await who->signal.wait(patience);
  if (!woken) {
    co_return Answer(refused(Refused::Why::error, "the database did not answer in time"));
  }
  co_return *std::move(who->answer);
}

void KeyBook::configure(std::vector<Tenant> tenants, CacheScope scope) {
  tenants_.configure(std::move(tenants));
  scope_ = scope;
  compose_again(nullptr);
}

// ---- look-ups: on the book's own loop -----------------------------------------------------------

void KeyBook::ask(const Digest& digest, WallTime now, AskPtr who) {
  const auto flight = flights_.find(digest);
  if (flight != flights_.end()) {
    flight->second.waiting.push_back(std::move(who));
    flight->second.until = Clock::now() + options_.patience;
    return;
  }
  // The answer may have come while this question was on its way.
  if (CallerPtr known = callers_->known(digest, now)) {
    who->answer.emplace(std::move(known));
    who->signal.wake();
    return;
  }
  if (line_.size() >= options_.line) {
    who->answer.emplace(refused(Refused::Why::error, "too many unknown keys are asked for"));
    who->signal.wake();
    return;
  }
  Flight& mine = flights_[digest];
  mine.until = Clock::now() + options_.patience;
  mine.now = now;
  mine.waiting.push_back(std::move(who));
  line_.push_back(digest);
  pump();
}

void KeyBook::pump() {
  while (flying_ < options_.at_a_time && !line_.empty()) {
    const Digest digest = line_.front();
    line_.pop_front();
    const auto flight = flights_.find(digest);
    // Those who waited have left.
    if (flight->second.until <= Clock::now()) {
      flights_.erase(flight);
      continue;
    }
    ++flying_;
    loop_.spawn(fly(digest));
  }
}

Task<void> KeyBook::fly(Digest digest) {
  const WallTime now = flights_.at(digest).now;
  Deadline deadline(loop_, Clock::now() + kLookUp);
  Result<CallerPtr, Refused> answer = co_await look_up(digest, now, deadline);
  const auto flight = flights_.find(digest);
  const std::vector<AskPtr> waiting = std::move(flight->second.waiting);
  flights_.erase(flight);
  for (const AskPtr& who : waiting) {
    who->answer.emplace(answer);
    who->signal.wake();
  }
  --flying_;
  pump();
}

Task<Result<CallerPtr, Refused>> KeyBook::look_up(Digest digest, WallTime now, Deadline& deadline) {
  using Answer = Result<CallerPtr, Refused>;
  ++counts_->look_ups;
  if (seen_ < 0) {
    // Nothing may be made of a tenant that was not read.
    Result<void> caught_up = co_await catch_up(deadline);
    if (!caught_up) co_return Answer(refused(Refused::Why::error, caught_up.error().detail));
  }
  bool primary = false;
  for (;;) {
    Result<store::FoundKey> found =
        co_await store::find_key(database_, bytes_of(digest), primary, deadline);
    if (!found) co_return Answer(refused(Refused::Why::error, found.error().detail));
    // A replica that knows less than this node: what it says may have been changed.
    if (found->changes >= seen_) co_return take_in(digest, *found, now);
    if (primary) {
      // A database put back to an earlier state: everything is read anew.
      seen_ = -1;
      callers_->clear();
      co_return Answer(refused(Refused::Why::error, "the database is older than it was"));
    }
    primary = true;
  }
}

Result<CallerPtr, Refused> KeyBook::take_in(const Digest& digest, const store::FoundKey& found,
                                            WallTime now) {
  const auto deny = [&](Refused::Why why) -> Result<CallerPtr, Refused> {
    callers_->put(digest, why, Clock::now() + options_.refused_for);
    return refused(why, in_words(why));
  };
  if (!found.key) return deny(Refused::Why::unknown);
  Result<Key> key = key_of(*found.key);
  if (!key) {
    log_.error("a key cannot be read", {{"reason", key.error().detail}});
    return refused(Refused::Why::error, key.error().detail);
  }
  switch (state_of(*key, now)) {
    case KeyState::good: break;
    case KeyState::expired: return deny(Refused::Why::expired);
    case KeyState::revoked:
    case KeyState::replaced: return deny(Refused::Why::revoked);
  }
  const TenantPtr tenant = tenants_.find(key->tenant);
  CallerPtr caller = caller_of(*key, tenant.get(), scope_);
  callers_->put(digest, KnownCaller{caller, key->scope});
  return caller;
}

// ---- changes: on the book's own loop ------------------------------------------------------------

Task<void> KeyBook::keep_asking() {
  while (!until_.over()) {
    {
      Deadline deadline(until_, Clock::now() + kCatchUp);
      Result<void> done = co_await catch_up(deadline);
      if (until_.over()) break;
      if (done.ok() == away_) {
        away_ = !done.ok();
        if (away_) {
          log_.warning("changes of keys cannot be read; known keys go on",
                       {{"reason", done.error().detail}});
        } else {
          log_.info("changes of keys are read again", {});
        }
      }
    }
    Deadline nap(until_, Clock::now() + options_.poll);
    Result<void> woken = co_await poke_.wait(nap);
    static_cast<void>(woken);  // or the time has come: it is looked at either way
  }
}

Task<Result<void>> KeyBook::catch_up(Deadline& deadline) {
  // One at a time: a look-up at the start may come between.
  while (catching_up_) {
    if (deadline.over()) co_return deadline.error("read what has changed", Source::store);
    co_await sleep_until(Clock::now() + 5ms, deadline);
  }
  struct Busy {
    explicit Busy(bool& flag) : flag_(flag) { flag_ = true; }
    ~Busy() { flag_ = false; }
    bool& flag_;
  } busy(catching_up_);

  Result<std::int64_t> last = co_await store::last_change(database_, deadline);
  if (!last) co_return last.error();
  if (*last == seen_) co_return Result<void>();
  if (*last < seen_) {
    seen_ = -1;
    callers_->clear();
  }
  const bool first = seen_ < 0;
  if (first) tenants_.forget_kept();
  Result<void> tenants = co_await read_tenants(seen_ + 1, deadline);
  if (!tenants) co_return tenants.error();
  // At the start no key is known, and none need be read.
  if (!first) {
    Result<void> keys = co_await read_keys(seen_ + 1, deadline);
    if (!keys) co_return keys.error();
  }
  seen_ = *last;
  ready_.store(true, std::memory_order_release);
  generation_.fetch_add(1, std::memory_order_acq_rel);
  co_return Result<void>();
}

// `from`: the first change that is not known.
Task<Result<void>> KeyBook::read_tenants(std::int64_t from, Deadline& deadline) {
  std::string after;
  std::unordered_set<std::string> changed;
  for (;;) {
    Result<std::vector<store::TenantRow>> rows =
        co_await store::changed_tenants(database_, from, after, kPage, deadline);
    if (!rows) co_return rows.error();
    for (const store::TenantRow& row : *rows) {
      from = row.changed;
      after = row.name;
      ++counts_->changes;
      changed.insert(row.name);
      if (row.deleted) {
        tenants_.keep(row.name, std::nullopt);
        continue;
      }
      Result<Tenant> tenant = tenant_of(row);
      // One that cannot be read must not get more than it may: nobody is let in for it.
      if (!tenant) {
        log_.error("a tenant cannot be read", {{"reason", tenant.error().detail}});
        tenants_.keep(row.name, std::nullopt);
        continue;
      }
      tenants_.keep(row.name, *std::move(tenant));
    }
    if (static_cast<std::int64_t>(rows->size()) < kPage) break;
  }
  if (!changed.empty()) compose_again(&changed);
  co_return Result<void>();
}

Task<Result<void>> KeyBook::read_keys(std::int64_t from, Deadline& deadline) {
  std::string after;
  for (;;) {
    Result<std::vector<store::KeyRow>> rows =
        co_await store::changed_keys(database_, from, after, kPage, deadline);
    if (!rows) co_return rows.error();
    for (const store::KeyRow& row : *rows) {
      from = row.changed;
      after = row.id;
      ++counts_->changes;
      apply(row);
    }
    if (static_cast<std::int64_t>(rows->size()) < kPage) co_return Result<void>();
  }
}

// A key that is known is replaced by what it is now; one that is not will be asked for.
void KeyBook::apply(const store::KeyRow& row) {
  Digest digest;
  if (!to_digest(row.digest, digest)) return;
  const Result<Key> key = key_of(row);
  const bool is_known = callers_->known(digest, WallTime::min()) != nullptr;
  if (!key || !is_known || key->revoked || (key->replaced_by && !key->grace_until)) {
    return callers_->drop(digest);
  }
  const TenantPtr tenant = tenants_.find(key->tenant);
  callers_->put(digest, KnownCaller{caller_of(*key, tenant.get(), scope_), key->scope});
}

// Tenants have changed, those of `names` or any: callers are made of them too.
void KeyBook::compose_again(const std::unordered_set<std::string>* names) {
  callers_->change([&](const KnownCaller& one) -> CallerPtr {
    if (names != nullptr && !names->contains(one.caller->tenant)) return nullptr;
    const TenantPtr tenant = tenants_.find(one.caller->tenant);
    auto caller = std::make_shared<Caller>(*one.caller);
    compose(*caller, tenant.get(), one.own_scope, scope_);
    return caller;
  });
  generation_.fetch_add(1, std::memory_order_acq_rel);
}

}  // namespace penstock::access
