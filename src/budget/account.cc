#include "budget/account.h"

namespace penstock::budget {
namespace {

// Of about sixty: a minute that was only seen in part says nothing of the whole.
constexpr unsigned kFewestLooks = 30;
constexpr std::int64_t kSetBack = 60;  // minutes; by more than that the clock was wrong before

double level_of(Of of, const Account::Levels& levels) {
  switch (of) {
    case Of::cpu: return levels.cpu;
    case Of::memory: return levels.memory;
    case Of::database_connections: return levels.database_connections;
    case Of::response:
    case Of::first_token:
    case Of::overhead:
    case Of::errors:
    case Of::cache:
    case Of::throughput: break;
  }
  return -1;
}

}  // namespace

Account::Account(std::vector<Objective> objectives, unsigned workers)
    : objectives_(std::move(objectives)),
      taken_(objectives_.size()),
      own_(objectives_.size()),
      others_(objectives_.size()),
      levels_(objectives_.size()),
      standings_(objectives_.size()) {
  for (unsigned i = 0; i < workers; ++i) tallies_.push_back(std::make_unique<Tally>(objectives_));
}

void Account::tick(std::int64_t minute, const Levels& levels) {
  const std::lock_guard lock(mutex_);
  // A minute that was written and left is not begun again where the clock is set back a little.
  if (minute < minute_ && minute + kSetBack > minute_) minute = minute_;
  if (minute != minute_) {
    if (minute_ >= 0) close_minute(minute);
    minute_ = minute;
  }
  for (std::size_t i = 0; i < objectives_.size(); ++i) {
    Count now;
    for (const auto& tally : tallies_) now += tally->count(i);
    const Count fresh{now.good - taken_[i].good, now.total - taken_[i].total};
    if (fresh.total > 0) add(minute, i, fresh, minute);
    taken_[i] = now;
  }
  look_at(levels);
  weigh(minute);
}

void Account::look_at(const Levels& levels) {
  for (std::size_t i = 0; i < objectives_.size(); ++i) {
    const double level = level_of(objectives_[i].of, levels);
    if (!objectives_[i].live || level < 0) continue;
    levels_[i].sum += level;
    ++levels_[i].looks;
  }
}

void Account::close_minute(std::int64_t now) {
  for (std::size_t i = 0; i < objectives_.size(); ++i) {
    const Level level = levels_[i];
    levels_[i] = {};
    if (level.looks < kFewestLooks) continue;
    const bool good = level.sum / level.looks < objectives_[i].limit;
    add(minute_, i, {good ? 1U : 0U, 1}, now);
  }
}

void Account::add(std::int64_t minute, std::size_t objective, const Count& count,
                  std::int64_t now) {
  own_[objective].add(minute, count, now);
  Own& own = waiting_[minute];
  if (own.counts.empty()) own.counts.resize(objectives_.size());
  own.counts[objective] += count;
  own.dirty = true;
  if (waiting_.size() > kMostWaiting) {
    waiting_.erase(waiting_.begin());
    ++given_up_;
  }
}

void Account::weigh(std::int64_t now) {
  for (std::size_t i = 0; i < objectives_.size(); ++i) {
    for (std::size_t w = 0; w < kWindows.size(); ++w) {
      Count all = own_[i].sum(kWindows[w].minutes, now);
      all += others_[i].sum(kWindows[w].minutes, now);
      standings_[i][w] = all;
    }
  }
}

std::vector<Account::Minute> Account::unwritten() const {
  const std::lock_guard lock(mutex_);
  std::vector<Minute> all;
  for (const auto& [minute, own] : waiting_) {
    if (!own.dirty) continue;
    for (std::size_t i = 0; i < own.counts.size(); ++i) {
      if (own.counts[i].total > 0) all.push_back({minute, i, own.counts[i]});
    }
  }
  return all;
}

void Account::written(const std::vector<Minute>& minutes) {
  const std::lock_guard lock(mutex_);
  for (const Minute& one : minutes) {
    const auto at = waiting_.find(one.minute);
    if (at == waiting_.end()) continue;
    at->second.dirty = false;
  }
  // What was counted while it was being written is still to be written.
  for (const Minute& one : minutes) {
    const auto at = waiting_.find(one.minute);
    if (at != waiting_.end() && at->second.counts[one.objective] != one.count) {
      at->second.dirty = true;
    }
  }
  // The last two may still grow: a level is known when its minute has ended.
  std::erase_if(waiting_,
                [this](const auto& one) { return !one.second.dirty && one.first < minute_ - 1; });
}

std::uint64_t Account::given_up() const {
  const std::lock_guard lock(mutex_);
  return given_up_;
}

void Account::take_others(const Past& past, std::int64_t now) {
  std::vector<History> others(objectives_.size());
  for (const Minute& one : past.hours) others[one.objective].add_hour(one.minute, one.count, now);
  for (const Minute& one : past.minutes) others[one.objective].add(one.minute, one.count, now);
  const std::lock_guard lock(mutex_);
  others_ = std::move(others);
  weigh(now);
}

void Account::take_recent(const std::vector<Minute>& minutes, std::int64_t from, std::int64_t now) {
  const std::lock_guard lock(mutex_);
  for (History& history : others_) history.forget_from(from);
  for (const Minute& one : minutes) others_[one.objective].add(one.minute, one.count, now);
  weigh(now);
}

std::vector<Account::Counts> Account::standings() const {
  const std::lock_guard lock(mutex_);
  return standings_;
}

}  // namespace penstock::budget
