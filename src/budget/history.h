// What was counted in the last thirty days, by minutes for a day and by hours before that.
//
// A window of days begins at a whole hour: it reaches back up to an hour further than it says.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "budget/objective.h"

namespace penstock::budget {

class History {
 public:
  static constexpr std::int64_t kMinutes = 1441;       // the running one included
  static constexpr std::int64_t kHours = 31 * 24 + 1;  // likewise

  // Minutes since 1970. What is older than the thirty days, or far ahead, is not kept.
  void add(std::int64_t minute, const Count& count, std::int64_t now);
  // Likewise, of a whole hour, given by its first minute: no minute of it is known.
  void add_hour(std::int64_t minute, const Count& count, std::int64_t now);
  // Takes the minutes from this one on out again, as far as they are known one by one.
  void forget_from(std::int64_t minute);

  // What was counted within the last so many minutes, the running one included.
  Count sum(std::int64_t minutes, std::int64_t now) const;

 private:
  struct Slot {
    std::int64_t at = -1;  // which minute or hour; another one: it is empty
    Count count;
  };
  static void put(std::vector<Slot>& ring, std::int64_t at, const Count& count);
  static Count sum(const std::vector<Slot>& ring, std::int64_t from, std::int64_t to);

  std::vector<Slot> minutes_ = std::vector<Slot>(kMinutes);
  std::vector<Slot> hours_ = std::vector<Slot>(kHours);
};

}  // namespace penstock::budget
