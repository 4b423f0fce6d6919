#include "app/budget_keeper.h"

#include <sys/resource.h>

#include <algorithm>

#include "base/give_way.h"
#include "base/uuid.h"
#include "observe/process.h"
#include "store/budgets.h"

namespace penstock::app {
namespace {

constexpr Duration kTick = 1s;
constexpr Duration kWrite = 10s;
constexpr Duration kPatience = 5s;     // with the store; nobody looks how full things are meanwhile
constexpr std::int64_t kRecent = 10;   // minutes that others may still write
constexpr std::int64_t kReadAll = 60;  // minutes; a node that could not write for long is seen then
constexpr std::int64_t kDay = 1440;    // minutes
constexpr std::int64_t kLongest = 30 * kDay;

std::int64_t minute_now() {
  return std::chrono::duration_cast<std::chrono::minutes>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

std::string make_source() {
  Random random;
  const Uuid id = make_uuid7(static_cast<std::uint64_t>(minute_now()) * 60'000, random);
  return std::string(text(id));
}

}  // namespace

// ---- the metrics --------------------------------------------------------------------------------

void watch_budgets(observe::Registry& registry, const budget::Account& account) {
  const std::vector<budget::Objective>& all = account.objectives();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i].live) continue;
    const std::string& name = all[i].name;
    const double share = all[i].share;
    const auto watch = [&](const char* metric, const char* help, std::optional<std::size_t> window,
                           std::function<double(const budget::Count&)> read) {
      observe::Labels labels = {{"budget", name}};
      if (window) labels.emplace_back("window", budget::kWindows[*window].name);
      const std::size_t at = window.value_or(budget::kLongest);
      registry.watch(observe::Type::gauge, metric, help, std::move(labels),
                     [&account, i, at, read = std::move(read)]() -> std::optional<double> {
                       return read(account.standings()[i][at]);
                     });
    };
    watch("penstock_budget_objective_ratio", "What of a budget's events must be good.", {},
          [share](const budget::Count&) { return share; });
    watch("penstock_budget_remaining_ratio",
          "What is left of what may be missed in the window: 1 all of it, below 0 more was missed.",
          budget::kLongest,
          [share](const budget::Count& count) { return 1 - budget::burn_rate(count, share); });
    for (std::size_t w = 0; w < budget::kWindows.size(); ++w) {
      watch("penstock_budget_burn_rate",
            "How fast what may be missed is used up: at 1 it lasts for just its thirty days.", w,
            [share](const budget::Count& count) { return budget::burn_rate(count, share); });
      watch("penstock_budget_met", "1 where the window alone keeps what was promised.", w,
            [share](const budget::Count& count) {
              return budget::burn_rate(count, share) <= 1 ? 1.0 : 0.0;
            });
    }
  }
}

// ---- the thread ---------------------------------------------------------------------------------

BudgetKeeper::BudgetKeeper(budget::Account& account, store::Database& database, Duration keep,
                           const std::atomic<std::uint64_t>& memory_limit, observe::Log& log)
    : account_(account),
      database_(database),
      keep_minutes_(std::chrono::duration_cast<std::chrono::minutes>(keep).count()),
      memory_limit_(memory_limit),
      log_(log),
      source_(make_source()),
      thread_([this] { run(); }) {}

budget::Account::Levels BudgetKeeper::levels() {
  budget::Account::Levels levels;
  const Time now = Clock::now();
  const double used = cpu_seconds();
  if (looked_ != Time()) {
    const double passed = std::chrono::duration<double>(now - looked_).count();
    if (passed > 0) levels.cpu = (used - cpu_seconds_) / passed / cores_;
  }
  looked_ = now;
  cpu_seconds_ = used;
  cores_ = observe::cpu_limit_cores();
  if (const std::uint64_t most = memory_limit_; most > 0) {
    levels.memory = static_cast<double>(observe::resident_bytes()) / static_cast<double>(most);
  }
  levels.database_connections = 0;
  for (const store::Health& one : database_.health()) {
    levels.database_connections += one.connections;
  }
  return levels;
}

void BudgetKeeper::tick() { account_.tick(minute_now(), levels()); }

// A loop of its own would hold three descriptors for ever; the store is asked seldom.
void BudgetKeeper::run() {
  give_way();
  Time next{};
  std::unique_lock lock(mutex_);
  while (!ended_) {
    lock.unlock();
    tick();
    if (const Time now = Clock::now(); now >= next) {
      next = now + kWrite;
      const Result<void> kept = store::wait(
          kPatience, [this](Deadline& deadline) { return keep(minute_now(), deadline); });
      if (!kept) {
        log_.debug("the budgets' minutes wait for the store", {{"reason", kept.error().detail}});
      }
      tell_of_given_up();
    }
    lock.lock();
    wake_.wait_for(lock, kTick, [this] { return ended_; });
  }
}

Task<Result<void>> BudgetKeeper::keep(std::int64_t now, Deadline& deadline) {
  Result<void> written = co_await write_down(deadline);
  if (!written) co_return written;
  if (now - all_read_ >= kReadAll) {
    Result<void> read = co_await read_all(now, deadline);
    if (read) all_read_ = recent_read_ = now;
    co_return read;
  }
  if (now != recent_read_) {
    Result<void> read = co_await read_recent(now, deadline);
    if (read) recent_read_ = now;
    co_return read;
  }
  co_return Result<void>();
}

Task<Result<void>> BudgetKeeper::write_down(Deadline& deadline) {
  const std::vector<budget::Account::Minute> minutes = account_.unwritten();
  for (std::size_t at = 0; at < minutes.size(); at += store::kMostBudgetCounts) {
    const std::size_t end = std::min(minutes.size(), at + store::kMostBudgetCounts);
    std::vector<store::BudgetCount> counts;
    counts.reserve(end - at);
    for (std::size_t i = at; i < end; ++i) {
      const budget::Account::Minute& one = minutes[i];
      counts.push_back({account_.objectives()[one.objective].measure(), one.minute,
                        static_cast<std::int64_t>(one.count.good),
                        static_cast<std::int64_t>(one.count.total)});
    }
    Result<void> written =
        co_await store::write_budgets(database_, source_, std::move(counts), deadline);
    if (!written) co_return written;
  }
  account_.written(minutes);
  co_return Result<void>();
}

Task<Result<void>> BudgetKeeper::read_all(std::int64_t now, Deadline& deadline) {
  // Whole hours before the last day, minutes in it.
  const std::int64_t day = (now - kDay) / 60 * 60;
  const std::int64_t first = (now - kLongest) / 60 * 60;
  budget::Account::Past past;
  Result<std::vector<store::BudgetCount>> hours =
      co_await store::read_budgets(database_, source_, first, day, 60, deadline);
  if (!hours) co_return std::move(hours).error();
  Result<std::vector<store::BudgetCount>> minutes =
      co_await store::read_budgets(database_, source_, day, now + kDay, 1, deadline);
  if (!minutes) co_return std::move(minutes).error();
  past.hours = known(*hours);
  past.minutes = known(*minutes);
  account_.take_others(past, now);
  Result<void> forgotten = co_await store::forget_budgets(database_, now - keep_minutes_, deadline);
  co_return forgotten;
}

Task<Result<void>> BudgetKeeper::read_recent(std::int64_t now, Deadline& deadline) {
  const std::int64_t from = now - kRecent;
  Result<std::vector<store::BudgetCount>> minutes =
      co_await store::read_budgets(database_, source_, from, now + kDay, 1, deadline);
  if (!minutes) co_return std::move(minutes).error();
  account_.take_recent(known(*minutes), from, now);
  co_return Result<void>();
}

// Of what was counted under limits that are not in force any more, nothing is known.
std::vector<budget::Account::Minute> BudgetKeeper::known(
    const std::vector<store::BudgetCount>& counts) const {
  std::vector<budget::Account::Minute> out;
  out.reserve(counts.size());
  for (std::size_t i = 0; i < account_.objectives().size(); ++i) {
    if (!account_.objectives()[i].live) continue;
    const std::string measure = account_.objectives()[i].measure();
    for (const store::BudgetCount& one : counts) {
      if (one.measure != measure) continue;
      out.push_back(
          {one.minute,
           i,
           {static_cast<std::uint64_t>(one.good), static_cast<std::uint64_t>(one.total)}});
    }
  }
  return out;
}

void BudgetKeeper::tell_of_given_up() {
  const std::uint64_t given_up = account_.given_up();
  if (given_up == told_given_up_) return;
  log_.warning("minutes of the budgets were given up: the store was away for a week",
               {{"minutes", given_up - told_given_up_}});
  told_given_up_ = given_up;
}

void BudgetKeeper::end(Time until) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    ended_ = true;
  }
  wake_.notify_all();
  thread_.join();
  tick();
  const Time now = Clock::now();
  if (until <= now) return;
  const Result<void> written =
      store::wait(until - now, [this](Deadline& deadline) { return write_down(deadline); });
  if (!written) {
    log_.warning("the last minutes of the budgets could not be written down",
                 {{"reason", written.error().detail}});
  }
}

}  // namespace penstock::app
