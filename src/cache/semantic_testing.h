// Vectors as embedding models make them, for tests and benchmarks: clusters in which texts that say
// the same lie close together.
#pragma once

#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "base/uuid.h"
#include "cache/semantic.h"

namespace penstock::cache {

inline Key semantic_key(std::uint64_t number) {
  Random random(number + 1);
  Key key;
  for (std::size_t i = 0; i < key.size(); i += 8) {
    const std::uint64_t word = random.next();
    std::memcpy(key.data() + i, &word, 8);
  }
  return key;
}

class SemanticVectors {
 public:
  SemanticVectors(std::size_t dimensions, std::size_t clusters, std::uint64_t seed)
      : dimensions_(dimensions), random_(seed) {
    for (std::size_t i = 0; i < clusters; ++i) centres_.push_back(around({}, 1));
  }

  // A vector whose cluster's centre it has a cosine of about 0.8 to.
  std::vector<float> next() { return around(centres_[random_.next() % centres_.size()], 0.75F); }
  // One whose cosine to this one is about 1 / sqrt(1 + spread * spread).
  std::vector<float> around(const std::vector<float>& centre, float spread) {
    std::vector<float> vector(dimensions_);
    const float scale = spread / std::sqrt(static_cast<float>(dimensions_));
    for (std::size_t i = 0; i < dimensions_; ++i) {
      const double normal = std::sqrt(-2 * std::log(1 - random_.unit())) *
                            std::cos(2 * std::numbers::pi * random_.unit());
      vector[i] = (centre.empty() ? 0 : centre[i]) + scale * static_cast<float>(normal);
    }
    normalise(vector);
    return vector;
  }

 private:
  const std::size_t dimensions_;
  Random random_;
  std::vector<std::vector<float>> centres_;
};

inline float cosine(const std::vector<float>& a, const std::vector<float>& b) {
  float sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace penstock::cache
