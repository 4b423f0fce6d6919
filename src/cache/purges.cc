#include "cache/purges.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <limits>

#include "base/sleep.h"
#include "redis/script.h"

namespace penstock::cache {
namespace {

constexpr Duration kRead = 1s;
constexpr Duration kTell = 1s;
constexpr Duration kAgain = 100ms;  // after a failure
constexpr Duration kLook = 200ms;   // whether somebody still vouches
constexpr std::string_view kFloor = "floor";
constexpr std::size_t kMostPending = 1'000;

constexpr std::array<std::string_view, 6> kNames = {"all",   "entry",  "tag",
                                                    "model", "tenant", "key"};

// KEYS: the log. ARGV: what is purged, how many are kept. A purge that is made again moves up; what
// is too much leaves its number behind as the floor.
const redis::Script& script() {
  static const redis::Script kScript(R"(
local log, most = KEYS[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local number = time[1] * 1000000 + time[2]
local last = redis.call('ZRANGE', log, -1, -1, 'WITHSCORES')
if last[2] and tonumber(last[2]) >= number then number = tonumber(last[2]) + 1 end
redis.call('ZADD', log, string.format('%.0f', number), ARGV[1])
local over = redis.call('ZCARD', log) - most
if over > 0 then
  local gone = redis.call('ZPOPMIN', log, over + 1)
  redis.call('ZADD', log, gone[#gone], 'floor')
end
return string.format('%.0f', number)
)");
  return kScript;
}

std::string written(const Purge& purge) {
  return std::string(name_of(purge.what)) + '\n' + purge.name;
}

std::optional<Purge> read_purge(std::string_view text) {
  const std::size_t end = text.find('\n');
  if (end == text.npos) return std::nullopt;
  const std::optional<PurgeOf> what = purge_of(text.substr(0, end));
  if (!what) return std::nullopt;
  return Purge{*what, std::string(text.substr(end + 1))};
}

// "k:acme:key_1" -> the tenant acme, its key key_1; "t:acme" -> the tenant alone; "" -> neither.
struct Owner {
  std::string_view tenant;
  std::string_view key;
};
Owner owner_of(std::string_view scope) {
  if (scope.size() < 3 || scope[1] != ':') return {};
  const std::string_view rest = scope.substr(2);
  if (scope[0] != 'k') return {rest, {}};
  const std::size_t colon = rest.find(':');
  if (colon == rest.npos) return {rest, {}};
  return {rest.substr(0, colon), rest.substr(colon + 1)};
}

bool means(const Purge& purge, const Subject& subject) {
  switch (purge.what) {
    case PurgeOf::all: return true;
    case PurgeOf::entry: return hex(subject.key) == purge.name;
    case PurgeOf::tag:
      return std::find(subject.tags.begin(), subject.tags.end(), purge.name) != subject.tags.end();
    case PurgeOf::model: return subject.model == purge.name;
    case PurgeOf::tenant: return of_tenant(subject.scope, purge.name);
    case PurgeOf::key: return of_key(subject.scope, purge.name);
  }
  return false;
}

std::uint64_t number_of(const redis::Value& value) {
  return value.type == redis::Type::real ? static_cast<std::uint64_t>(value.real) : 0;
}

}  // namespace

std::string_view name_of(PurgeOf what) { return kNames[static_cast<std::size_t>(what)]; }

std::optional<PurgeOf> purge_of(std::string_view name) {
  const auto* const found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<PurgeOf>(found - kNames.begin());
}

bool of_tenant(std::string_view scope, std::string_view tenant) {
  return !tenant.empty() && owner_of(scope).tenant == tenant;
}

bool of_key(std::string_view scope, std::string_view key) {
  return !key.empty() && owner_of(scope).key == key;
}

// ---- the book ----------------------------------------------------------------------------------

void PurgeBook::add(const Purge& purge, std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  const std::pair<PurgeOf, std::string> name(purge.what, purge.name);
  std::uint64_t& known = numbers_[name];
  if (known < number) {
    const auto [first, last] = in_order_.equal_range(known);
    for (auto at = first; at != last; ++at) {
      if (at->second != name) continue;
      in_order_.erase(at);
      break;
    }
    known = number;
    in_order_.emplace(number, name);
  }
  while (in_order_.size() > kMost) {
    floor_ = std::max(floor_, in_order_.begin()->first);
    numbers_.erase(in_order_.begin()->second);
    in_order_.erase(in_order_.begin());
  }
  if (known_.load(std::memory_order_relaxed) < number) {
    known_.store(number, std::memory_order_release);
  }
}

void PurgeBook::forget_before(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  floor_ = std::max(floor_, number);
  if (known_.load(std::memory_order_relaxed) < number) {
    known_.store(number, std::memory_order_release);
  }
}

// Asked by the names that it could be purged by: there may be thousands of purges.
bool PurgeBook::covers(const Subject& subject, std::uint64_t number) const {
  if (number >= known()) return false;
  const Owner owner = owner_of(subject.scope);
  const std::lock_guard lock(mutex_);
  if (number < floor_) return true;
  const auto later = [&](PurgeOf what, std::string_view name) {
    const auto found = numbers_.find({what, std::string(name)});
    return found != numbers_.end() && found->second > number;
  };
  if (later(PurgeOf::all, {}) || later(PurgeOf::model, subject.model)) return true;
  if (!owner.tenant.empty() && later(PurgeOf::tenant, owner.tenant)) return true;
  if (!owner.key.empty() && later(PurgeOf::key, owner.key)) return true;
  for (const std::string& tag : subject.tags) {
    if (later(PurgeOf::tag, tag)) return true;
  }
  return later(PurgeOf::entry, hex(subject.key));
}

// ---- the log -----------------------------------------------------------------------------------

// Somebody who waits for a purge on another loop, until it is done or given up.
struct Purges::Ask {
  Ask(Purge what, Loop& loop, Time at_most) : purge(std::move(what)), done(loop), until(at_most) {}
  Purge purge;
  Signal done;
  Time until;
  std::mutex mutex;
  std::optional<Purged> answer;
};

Purges::Purges(Loop& loop, PurgeBook& book, MemoryCache& memory, Trust& trust, observe::Log& log,
               Forget forget)
    : loop_(loop),
      book_(book),
      memory_(memory),
      trust_(trust),
      log_(log),
      forget_(std::move(forget)) {}

void Purges::changed(std::string_view key) {
  if (!key.empty() && key != kLog) return;
  trust_.purges(0);
  poke_.wake();
}

Task<void> Purges::keep(redis::Client& client, Deadline& until) {
  client_ = &client;
  trust_.purges(0);
  bool due = true;
  while (!until.over()) {
    if (trust_.purges_known() && !due && untold_.empty()) {
      Deadline look(until, Clock::now() + kLook);
      Result<void> poked = co_await poke_.wait(look);
      // Where nobody tells of changes they are looked for.
      due = !poked && polling_;
      continue;
    }
    due = false;
    bool told = false;
    {
      Deadline telling(until, Clock::now() + kTell);
      told = co_await tell_untold(telling);
    }
    bool done = false;
    {
      // Also where nothing can be told: a Redis that is full may still be read.
      Deadline reading(until, Clock::now() + kRead);
      Result<void> read = co_await this->read(reading);
      done = bool(read);
    }
    wake_waiting();
    if (!told || !done) co_await sleep_until(Clock::now() + kAgain, until);
  }
  client_ = nullptr;
  wake_waiting();
}

Task<bool> Purges::tell_untold(Deadline& deadline) {
  while (!untold_.empty()) {
    const Purge purge = untold_.front();
    Result<std::uint64_t> number = co_await tell(purge, deadline);
    if (!number) co_return false;
    untold_.pop_front();
    book_.add(purge, *number);
  }
  co_return true;
}

// What is new in the log. Not from the last known number on: that may be this node's own, with an
// earlier one of another node's before it that was not read yet.
Task<Result<void>> Purges::read(Deadline& deadline) {
  const std::string from = fmt::format("({}", read_);
  const std::array<std::string_view, 6> newer = {"ZRANGE", kLog,      from,
                                                 "+inf",   "BYSCORE", "WITHSCORES"};
  const std::array<std::string_view, 3> floor = {"ZSCORE", kLog, kFloor};
  const std::array<redis::Words, 2> commands = {newer, floor};
  Result<redis::Read> read = co_await client_->read(commands, kLog, deadline);
  if (!read) co_return std::move(read).error();
  for (const redis::Value& value : read->values) {
    if (value.is_error()) co_return Error{Kind::refused, Source::store, false, value.text};
  }
  std::vector<Numbered> fresh;
  for (const redis::Value& pair : read->values[0].items) {
    if (pair.items.size() != 2) continue;
    std::optional<Purge> purge = read_purge(pair.items[0].text);
    if (!purge) continue;
    const std::uint64_t number = number_of(pair.items[1]);
    read_ = std::max(read_, number);
    book_.add(*purge, number);
    fresh.push_back({*std::move(purge), number});
  }
  if (const std::uint64_t number = number_of(read->values[1]); number > 0) {
    book_.forget_before(number);
  }
  drop(fresh);
  polling_ = read->vouch == 0;
  if (polling_) {
    trust_.alone();
  } else if (!read->changed) {
    trust_.purges(read->vouch);
  }
  co_return Result<void>();
}

// Whatever is in memory has outlived the purges before these.
std::uint64_t Purges::drop(const std::vector<Numbered>& purges) {
  if (purges.empty()) return 0;
  const auto whole = [](const Numbered& one) {
    return one.purge.what == PurgeOf::all || one.purge.what == PurgeOf::tenant ||
           one.purge.what == PurgeOf::key;
  };
  if (forget_ && std::any_of(purges.begin(), purges.end(), whole)) {
    forget_([&](std::string_view scope) {
      return std::any_of(purges.begin(), purges.end(), [&](const Numbered& one) {
        return whole(one) && means(one.purge, Subject{Key{}, scope, {}, {}});
      });
    });
  }
  return memory_.erase_if([&](const Entry& entry) {
    const Subject subject{entry.key, entry.scope, entry.model, entry.tags};
    return std::any_of(purges.begin(), purges.end(), [&](const Numbered& one) {
      return entry.purge < one.number && means(one.purge, subject);
    });
  });
}

Task<Result<std::uint64_t>> Purges::tell(const Purge& purge, Deadline& deadline) {
  const std::array<std::string_view, 1> keys = {kLog};
  const std::string what = written(purge);
  const std::string most = std::to_string(PurgeBook::kMost);
  const std::array<std::string_view, 2> arguments = {what, most};
  Result<redis::Value> value = co_await client_->eval(script(), keys, arguments, deadline);
  if (!value) co_return std::move(value).error();
  std::uint64_t number = 0;
  for (const char digit : value->text) {
    if (digit < '0' || digit > '9') break;
    number = number * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  if (number == 0) {
    co_return Error{Kind::broken, Source::store, true, "Redis gave a purge no number"};
  }
  co_return number;
}

Task<void> Purges::carry_out(std::shared_ptr<Ask> ask) {
  Purged purged;
  // Without a number of Redis's it is the next one: by this node's clock, which may be wrong, its
  // answers could look younger than the purges to come.
  std::uint64_t number = book_.known() + 1;
  if (client_ != nullptr) {
    Deadline deadline(loop_, std::min(ask->until, Clock::now() + kTell));
    Result<std::uint64_t> told = co_await tell(ask->purge, deadline);
    if (told) {
      number = *told;
    } else {
      purged.told = false;
      purged.reason = told.error().detail;
      if (untold_.size() < kMostPending) untold_.push_back(ask->purge);
      poke_.wake();
    }
  }
  number = std::max(number, book_.known() + 1);
  book_.add(ask->purge, number);
  purged.erased = drop({{ask->purge, number}});
  log_.info("answers were purged", {{"what", name_of(ask->purge.what)},
                                    {"name", ask->purge.name},
                                    {"entries", static_cast<std::int64_t>(purged.erased)}});
  {
    const std::lock_guard lock(ask->mutex);
    ask->answer = std::move(purged);
  }
  ask->done.wake();
}

Task<Result<Purged>> Purges::purge(Purge purge, Deadline& deadline) {
  const auto ask = std::make_shared<Ask>(std::move(purge), deadline.loop(), deadline.at());
  asio::post(loop_.executor(), [this, ask] { loop_.spawn(carry_out(ask)); });
  for (;;) {
    {
      const std::lock_guard lock(ask->mutex);
      if (ask->answer) co_return *std::move(ask->answer);
    }
    Result<void> woken = co_await ask->done.wait(deadline);
    if (!woken) co_return std::move(woken).error();
  }
}

Task<Result<void>> Purges::current(Deadline& deadline) {
  for (;;) {
    if (trust_.purges_known()) co_return Result<void>();
    Signal signal(deadline.loop());
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(signal);
    }
    poke_.wake();
    Result<void> woken = co_await signal.wait(deadline);
    if (!woken) co_return std::move(woken).error();
    if (!trust_.purges_known()) {
      co_return Error{Kind::unreachable, Source::store, true, "the purges cannot be read"};
    }
  }
}

void Purges::wake_waiting() {
  const std::lock_guard lock(mutex_);
  for (const Signal& signal : waiting_) signal.wake();
  waiting_.clear();
}

}  // namespace penstock::cache
