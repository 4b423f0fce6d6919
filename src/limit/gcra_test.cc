#include "limit/gcra.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace penstock::limit {
namespace {

constexpr Quota kTenPerSecond{10, 1s};
const Time kNow{Duration(1000s)};

TEST(Gcra, AdmitsABurstThenSaysHowLongToWait) {
  Time paid_off{};
  EXPECT_EQ(decide(kTenPerSecond, paid_off, kNow, 10).remaining, 0u);
  const Decision refused = decide(kTenPerSecond, paid_off, kNow + 30ms, 1);
  EXPECT_FALSE(refused.admitted);
  EXPECT_EQ(refused.retry_after, 70ms);
  EXPECT_EQ(refused.reset, 970ms);
  EXPECT_TRUE(decide(kTenPerSecond, paid_off, kNow + 100ms, 1).admitted);
}

TEST(Gcra, SaysWhatIsLeftAndWhenNothingIsOwed) {
  Time paid_off{};
  const Decision first = decide(kTenPerSecond, paid_off, kNow, 3);
  EXPECT_EQ(first.remaining, 7u);
  EXPECT_EQ(first.reset, 300ms);
  EXPECT_EQ(decide(kTenPerSecond, paid_off, kNow + 1s, 0).remaining, 10u);
}

TEST(Gcra, ABurstShrunkByAReloadLeavesNoRoom) {
  Time paid_off = kNow + 10s;
  const Decision refused = decide(kTenPerSecond, paid_off, kNow, 1);
  EXPECT_FALSE(refused.admitted);
  EXPECT_EQ(refused.remaining, 0u);
}

TEST(Gcra, WhatIsMoreThanABurstIsNeverAdmitted) {
  Time paid_off{};
  EXPECT_EQ(decide(kTenPerSecond, paid_off, kNow, 11).retry_after, Duration::max());
  EXPECT_EQ(decide(kTenPerSecond, paid_off, kNow, kUnlimitedNumber).retry_after, Duration::max());
  EXPECT_EQ(decide({0, 1s}, paid_off, kNow, 1).retry_after, Duration::max());
  EXPECT_TRUE(decide(kUnlimited, paid_off, kNow, kUnlimitedNumber - 1).admitted);
}

TEST(Gcra, ARateThatDoesNotDivideLosesNothing) {
  constexpr Quota kSeven{7, 1s};
  Time paid_off{};
  std::uint64_t admitted = 0;
  for (Time now = kNow; now < kNow + 100s; now += 1ms) {
    if (decide(kSeven, paid_off, now, 1).admitted) ++admitted;
  }
  EXPECT_GE(admitted, 7u + 699u);
  EXPECT_LE(admitted, 7u + 701u);
}

TEST(Meter, GivesBackWhatWasNotUsedAndTakesWhatWasTooLittle) {
  Meter meter;
  EXPECT_EQ(meter.take(kTenPerSecond, kNow, 8).remaining, 2u);
  meter.give_back(kTenPerSecond, 5);
  EXPECT_EQ(meter.look(kTenPerSecond, kNow).remaining, 7u);
  meter.take_regardless(kTenPerSecond, kNow, 9);
  EXPECT_EQ(meter.look(kTenPerSecond, kNow).remaining, 0u);
  EXPECT_EQ(meter.take(kTenPerSecond, kNow, 1).retry_after, 300ms);
}

TEST(Meter, AdmitsExactlyABurstToManyThreads) {
  constexpr Quota kThousand{1000, 1h};
  Meter meter;
  std::atomic<int> admitted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) {
        if (meter.take(kThousand, kNow, 1).admitted) admitted.fetch_add(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(admitted.load(), 1000);
}

}  // namespace
}  // namespace penstock::limit
