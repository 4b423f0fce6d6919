// A worker's side of the ledger: what it records is in its spool when the call returns.
//
//   add(row)          a record of its own
//   hit(key, ...)     added to the sum of this second of all that is alike: two lines in the mapped
//                     file that are counted up where they lie (record.h)
//
// A sum is open until the first hit of another second comes, or until the ledger's thread sees that
// its second is over; then it is read like any row. Its id and its time are those of its first hit.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "base/uuid.h"
#include "exchange/caller.h"
#include "exchange/served.h"
#include "exchange/usage_row.h"
#include "store/record.h"
#include "store/spool.h"

namespace penstock::store {

// Which level of the cache answered; none: strangers who were refused are summed too, so that a
// flood of them makes no more rows than seconds.
enum class Level : std::uint8_t { memory, redis, semantic, coalesced, none };
std::string_view label_of(Level level);  // "memory"

// What hits are summed by. Told apart by addresses, never by texts: equal callers at two addresses
// have two sums, which is as right.
struct HitKey {
  const CallerPtr& caller;  // null: nobody was told apart; kept while a sum of it is open
  const Served* served;     // the ledger's
  Level level = Level::memory;
  int status = 200;
};

class Book {
 public:
  Book(SpoolFolder& folder, std::size_t rows_bytes, std::size_t sums_bytes)
      : folder_(folder), rows_(folder, rows_bytes), sums_(folder, sums_bytes), slots_(kSlots) {}
  Book(const Book&) = delete;
  Book& operator=(const Book&) = delete;

  // ---- the worker ----
  // Its time is set; if its id is not, it gets one of its time.
  // Where there is no room, or too much waits, it is counted as dropped.
  void add(const UsageRow& row);
  // `saved`, `cost`: what the answer had used and cost when it was made. `now`: when it was given.
  // `complexity`: of the question, 0 to 1; negative: it has none.
  void hit(const HitKey& key, const Usage& saved, Nano cost, Duration took, WallTime now,
           float complexity = -1);

  // ---- the ledger's thread ----
  // Closes the sums of every second but this one; with nothing those of all.
  void close_sums(std::optional<WallTime> now);
  Spool& rows() { return rows_; }
  Spool& sums() { return sums_; }

 private:
  static constexpr std::size_t kSlots = 256;
  static constexpr std::size_t kMostSlots = 1 << 16;

  // Of an open-addressed table; empty unless it is of this generation.
  struct Slot {
    const Caller* caller = nullptr;
    const Served* served = nullptr;
    std::uint32_t rest = 0;  // level and status
    std::uint32_t generation = 0;
    Counters* lines = nullptr;
    CallerPtr kept;  // so that no other caller gets its address meanwhile
  };

  Slot& slot_of(const Caller* caller, const Served* served, std::uint32_t rest);
  bool open(Slot& slot, const HitKey& key, WallTime now);
  void close_all();
  void grow();

  SpoolFolder& folder_;
  Spool rows_;
  Spool sums_;
  Random random_;
  // Under the mutex of sums_.
  std::int64_t second_ = 0;  // of the open sums
  std::uint32_t generation_ = 1;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> open_;  // which slots are of this generation
};

}  // namespace penstock::store
