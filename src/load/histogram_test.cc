#include "load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/uuid.h"

namespace penstock::load {
namespace {

TEST(Histogram, PercentilesAreWithinAThousandthOfTheExactOnes) {
  Histogram histogram;
  std::vector<std::int64_t> exact;
  Random random(7);
  for (int i = 0; i < 200'000; ++i) {
    // Spread evenly over the magnitudes from 1 us to an hour.
    const auto us = std::llround(std::exp(random.unit() * std::log(3.6e9)));
    exact.push_back(us);
    histogram.record(std::chrono::microseconds(us));
  }
  std::sort(exact.begin(), exact.end());
  for (const double percent : {0.0, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 99.999, 100.0}) {
    const double rank = std::max(std::ceil(percent / 100 * static_cast<double>(exact.size())), 1.0);
    const std::int64_t want = exact[static_cast<std::size_t>(rank) - 1];
    const std::int64_t got = histogram.percentile(percent) / 1us;
    EXPECT_GE(got, want) << percent;
    EXPECT_LE(static_cast<double>(got), static_cast<double>(want) * 1.001) << percent;
  }
  EXPECT_EQ(histogram.max() / 1us, exact.back());
}

TEST(Histogram, TimesBelowTwoMillisecondsAreExact) {
  Histogram histogram;
  for (int us = 0; us < 2048; ++us) histogram.record(std::chrono::microseconds(us));
  for (int us = 1; us <= 2048; ++us) {
    const double percent = 100.0 * (us - 0.5) / 2048;
    EXPECT_EQ(histogram.percentile(percent), std::chrono::microseconds(us - 1));
  }
}

TEST(Histogram, AMergeIsAsIfAllHadBeenRecordedInOne) {
  Histogram all;
  Histogram one;
  Histogram other;
  for (int i = 1; i <= 1000; ++i) {
    const Duration time = i * i * 37us;
    all.record(time);
    (i % 3 == 0 ? one : other).record(time);
  }
  one.merge(other);
  EXPECT_EQ(one.count(), 1000u);
  EXPECT_EQ(one.max(), all.max());
  EXPECT_EQ(one.mean(), all.mean());
  for (const double percent : {1.0, 50.0, 99.0}) {
    EXPECT_EQ(one.percentile(percent), all.percentile(percent));
  }
}

TEST(Histogram, WhatIsLongerThanAnHourCountsAsAnHour) {
  Histogram histogram;
  histogram.record(20h);
  EXPECT_EQ(histogram.max(), 1h);
  EXPECT_EQ(histogram.percentile(50), 1h);
}

TEST(Histogram, ManyAtOnceCountAsOftenAndNoneAsNone) {
  Histogram histogram;
  histogram.record(5s, 0);
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.percentile(99), 0s);
  histogram.record(1ms, 99);
  histogram.record(-1ms);
  EXPECT_EQ(histogram.percentile(1), 0s);
  EXPECT_EQ(histogram.percentile(2), 1ms);
  EXPECT_EQ(histogram.count(), 100u);
}

}  // namespace
}  // namespace penstock::load
