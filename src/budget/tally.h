// One worker's part of what the budgets are about: counted as requests end, with plain loads and
// stores, and read by the thread that keeps the account.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "budget/objective.h"

namespace penstock::budget {

// A request, at its end.
struct Answered {
  int status = 0;
  bool stream = false;
  bool engine_spared = false;  // the cache had it
  bool engine_asked = false;   // the cache had a part in it, and not the answer
  Duration took{};
  Duration overhead{};
};

class Tally {
 public:
  explicit Tally(const std::vector<Objective>& objectives);
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;

  // Of one thread.
  void answered(const Answered& one) {
    if (one.status / 100 == 2 && !one.stream) {
      for (const Timed& line : responses_) line.cell->count(one.took <= line.limit);
    }
    for (const Timed& line : overheads_) line.cell->count(one.overhead <= line.limit);
    for (Cell* cell : errors_) cell->count(one.status < 500);
    if (one.engine_spared || one.engine_asked) {
      for (Cell* cell : caches_) cell->count(one.engine_spared);
    }
  }
  void first_token(Duration after) {
    for (const Timed& line : first_tokens_) line.cell->count(after <= line.limit);
  }

  // Since it was made, of the objective at this place. Any thread.
  Count count(std::size_t objective) const;

 private:
  struct Cell {
    std::atomic<std::uint64_t> good{0}, bad{0};
    void count(bool is_good) {
      std::atomic<std::uint64_t>& to = is_good ? good : bad;
      to.store(to.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
  };
  struct Timed {
    Duration limit;
    Cell* cell;
  };

  const std::unique_ptr<Cell[]> cells_;
  std::vector<Timed> responses_, overheads_, first_tokens_;
  std::vector<Cell*> errors_, caches_;
};

}  // namespace penstock::budget
