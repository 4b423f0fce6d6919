#include "budget/tally.h"

namespace penstock::budget {

Tally::Tally(const std::vector<Objective>& objectives)
    : cells_(std::make_unique<Cell[]>(objectives.size())) {
  for (std::size_t i = 0; i < objectives.size(); ++i) {
    const Objective& one = objectives[i];
    if (!one.live) continue;
    Cell* const cell = &cells_[i];
    const auto limit =
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(one.limit));
    switch (one.of) {
      case Of::response: responses_.push_back({limit, cell}); break;
      case Of::first_token: first_tokens_.push_back({limit, cell}); break;
      case Of::overhead: overheads_.push_back({limit, cell}); break;
      case Of::errors: errors_.push_back(cell); break;
      case Of::cache: caches_.push_back(cell); break;
      case Of::throughput:
      case Of::cpu:
      case Of::memory:
      case Of::database_connections: break;  // by the minute (account.h)
    }
  }
}

Count Tally::count(std::size_t objective) const {
  const Cell& cell = cells_[objective];
  const std::uint64_t good = cell.good.load(std::memory_order_relaxed);
  return {good, good + cell.bad.load(std::memory_order_relaxed)};
}

}  // namespace penstock::budget
