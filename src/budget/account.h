// The account of the budgets: what this process counted, by minutes, and what other nodes and
// earlier runs did.
//
//   workers ── Tally ──┐                                 ┌── standings(): metrics, the admin API
//                      ├─ tick(), each second ─ Account ─┤
//   CPU, memory ... ───┘                                 └── unwritten(): into the store
//                                           take_others(): out of it
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "budget/history.h"
#include "budget/objective.h"
#include "budget/tally.h"

namespace penstock::budget {

class Account {
 public:
  // How many minutes wait at most while the store is away: a week.
  static constexpr std::size_t kMostWaiting = 7 * 1440;

  Account(std::vector<Objective> objectives, unsigned workers);
  Account(const Account&) = delete;
  Account& operator=(const Account&) = delete;

  const std::vector<Objective>& objectives() const { return objectives_; }
  Tally& tally(unsigned worker) { return *tallies_[worker]; }

  // How full things are: shares of what may be taken, connections. Below 0: not known.
  struct Levels {
    double cpu = -1;
    double memory = -1;
    double database_connections = -1;
  };
  // Takes what the workers counted since, into this minute (since 1970). A minute in which the
  // levels were looked at often enough is good where they were below the limit on average.
  // One thread.
  void tick(std::int64_t minute, const Levels& levels);

  struct Minute {
    std::int64_t minute = 0;
    std::size_t objective = 0;
    Count count;  // of this process, all of that minute so far
  };
  // What the store does not have yet, or not as it is now. Any thread.
  std::vector<Minute> unwritten() const;
  void written(const std::vector<Minute>& minutes);
  // Minutes that were given up since, because too many waited.
  std::uint64_t given_up() const;

  struct Past {
    std::vector<Minute> hours;    // `minute` is an hour's first; of 30 days but for the last day
    std::vector<Minute> minutes;  // of the last day
  };
  // What others counted, in place of what was known of them.
  void take_others(const Past& past, std::int64_t now);
  // Likewise, of the minutes from `from` on: the rest stays.
  void take_recent(const std::vector<Minute>& minutes, std::int64_t from, std::int64_t now);

  // By objective, then by kWindows; as of the last tick. Any thread.
  using Counts = std::array<Count, kWindows.size()>;
  std::vector<Counts> standings() const;

 private:
  struct Own {
    std::vector<Count> counts;  // by objective
    bool dirty = false;
  };
  struct Level {
    double sum = 0;
    unsigned looks = 0;
  };
  void add(std::int64_t minute, std::size_t objective, const Count& count, std::int64_t now);
  void close_minute(std::int64_t now);
  void look_at(const Levels& levels);
  void weigh(std::int64_t now);

  const std::vector<Objective> objectives_;
  std::vector<std::unique_ptr<Tally>> tallies_;

  mutable std::mutex mutex_;  // of all below
  std::vector<Count> taken_;  // of the tallies, so far
  std::vector<History> own_, others_;
  std::vector<Level> levels_;
  std::map<std::int64_t, Own> waiting_;  // by minute
  std::vector<Counts> standings_;
  std::uint64_t given_up_ = 0;
  std::int64_t minute_ = -1;  // of the last tick
};

}  // namespace penstock::budget
