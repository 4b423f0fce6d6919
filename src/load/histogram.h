// How long things took, as counts: a histogram whose buckets grow with the value.
//
// The idea is Gil Tene's HdrHistogram (hdrhistogram.org): values up to 2^11 have a bucket of their
// own, and each doubling after that has 1,024 equal ones, so that every value is known within one
// thousandth of itself from a microsecond to an hour, and recording is an index and an addition.
//
//   value us     0 .. 2047 | 2048 .. 4095 | 4096 .. 8191 | ...  3.6e9
//   bucket width     1     |      2       |      4       | ...
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"

namespace penstock::load {

class Histogram {
 public:
  static constexpr Duration kMax = 1h;  // longer times count as this

  Histogram();

  // Rounded to the microsecond; a negative time counts as none.
  void record(Duration time, std::uint64_t count = 1);
  void merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  Duration max() const;  // of what was recorded, exact to the microsecond; 0 if empty
  Duration mean() const;

  // The time that `percent` of all do not exceed: at most a thousandth too long, never too short.
  // Zero if empty. REQUIRES: 0 <= percent <= 100.
  Duration percentile(double percent) const;

 private:
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_us_ = 0;
  std::uint64_t max_us_ = 0;
};

}  // namespace penstock::load
