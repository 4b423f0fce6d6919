#include "engagement/hyperloglog.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <thread>

#include "base/uuid.h"

namespace penstock::engagement {
namespace {

std::uint64_t hash(std::uint64_t number) {
  return murmur({reinterpret_cast<const char*>(&number), sizeof number});
}

double error(std::uint64_t estimate, std::uint64_t exact) {
  return std::abs(static_cast<double>(estimate) - static_cast<double>(exact)) /
         static_cast<double>(exact);
}

TEST(HyperLogLogs, AreEmptyAtFirstAndWhenCleared) {
  HyperLogLog users;
  EXPECT_EQ(0u, users.estimate());
  users.add(hash(1));
  EXPECT_EQ(1u, users.estimate());
  users.clear();
  EXPECT_EQ(0u, users.estimate());
}

TEST(HyperLogLogs, CountEachOnceHoweverOftenItComes) {
  HyperLogLog users;
  for (int round = 0; round < 100; ++round) {
    for (std::uint64_t i = 0; i < 100; ++i) {
      const bool changed = users.add(hash(i));
      EXPECT_TRUE(round == 0 || !changed);
    }
    EXPECT_NEAR(100, static_cast<double>(users.estimate()), 1);
  }
}

TEST(HyperLogLogs, EstimateWithinTwoPercentAtAllSizes) {
  // The standard error is 0.81 %; over seeds and sizes its mean square must be about that.
  double squares = 0;
  int count = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    Random random(seed);
    HyperLogLog users;
    std::uint64_t exact = 0;
    for (const std::uint64_t size : {100u, 1000u, 5000u, 20'000u, 40'000u, 100'000u, 400'000u}) {
      for (; exact < size; ++exact) users.add(hash(random.next()));
      const double off = error(users.estimate(), exact);
      EXPECT_LT(off, 0.03) << "seed " << seed << ", " << exact;
      squares += off * off;
      ++count;
    }
  }
  EXPECT_LT(std::sqrt(squares / count), 0.0095);
}

TEST(HyperLogLogs, AreMergedAsIfOneHadSeenAll) {
  HyperLogLog a;
  HyperLogLog b;
  HyperLogLog all;
  for (std::uint64_t i = 0; i < 30'000; ++i) {
    if (i < 20'000) a.add(hash(i));
    if (i >= 10'000) b.add(hash(i));
    all.add(hash(i));
  }
  a.merge(b);
  EXPECT_EQ(all.estimate(), a.estimate());
}

TEST(HyperLogLogs, LoseNothingToThreads) {
  HyperLogLog together;
  HyperLogLog alone;
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 20'000; ++i) together.add(hash(t * 15'000 + i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::uint64_t i = 0; i < 65'000; ++i) alone.add(hash(i));
  EXPECT_EQ(alone.estimate(), together.estimate());
}

}  // namespace
}  // namespace penstock::engagement
