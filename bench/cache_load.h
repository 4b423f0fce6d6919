// What the benchmarks of the memory cache ask for: keys, and how often each.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/uuid.h"
#include "cache/key.h"

namespace penstock::cache {

// Different for each number, and as good as a digest.
inline Key key_of(std::uint64_t number) {
  Random random(number);
  Key made;
  for (std::size_t i = 0; i < made.size(); i += sizeof number) {
    const std::uint64_t word = random.next();
    std::memcpy(made.data() + i, &word, sizeof word);
  }
  return made;
}

// Numbers from 0 on; number n comes with a probability that falls with (n + 1) ^ -exponent.
class Zipf {
 public:
  Zipf(std::uint32_t count, double exponent) : sums_(count) {
    double sum = 0;
    for (std::uint32_t i = 0; i < count; ++i) sums_[i] = sum += std::pow(i + 1.0, -exponent);
  }
  std::uint32_t next(Random& random) const {
    const auto at = std::lower_bound(sums_.begin(), sums_.end(), random.unit() * sums_.back());
    return static_cast<std::uint32_t>(at - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

}  // namespace penstock::cache
