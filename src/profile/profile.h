// A profile: what was counted where. Independent of how it was taken and of how it is written.
#pragma once

#include <chrono>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "profile/stack.h"

namespace penstock::profile {

// A kind of figure, in pprof's words: {"cpu", "nanoseconds"}.
struct Measure {
  std::string type;
  std::string unit;
};

struct Sample {
  std::vector<Address> frames;       // the innermost first
  std::vector<std::int64_t> values;  // one for each measure
};

struct Profile {
  std::vector<Measure> measures;
  std::size_t shown = 0;  // the measure that a flame graph is drawn of
  Measure period_type;
  std::int64_t period = 0;  // between two samples, in the unit of period_type
  WallTime begin;
  Duration took{};
  std::vector<Sample> samples;
  std::uint64_t lost = 0;  // samples for which there was no room
};

// Adds samples of one stack up.
class Sum {
 public:
  void add(std::span<const Address> frames, std::int64_t count);
  // Each stack with its count.
  const auto& stacks() const { return stacks_; }

 private:
  struct Hash {
    std::size_t operator()(const std::vector<Address>& frames) const;
  };
  std::unordered_map<std::vector<Address>, std::int64_t, Hash> stacks_;
  std::vector<Address> key_;
};

}  // namespace penstock::profile
