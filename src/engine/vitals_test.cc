#include "engine/vitals.h"

#include <gtest/gtest.h>

namespace penstock::engine {
namespace {

TEST(Streak, OneGoodAnswerIsEnoughWhileNothingIsKnown) {
  Streak streak(2, 3);
  EXPECT_TRUE(streak.healthy());
  EXPECT_TRUE(streak.see(true));
  EXPECT_TRUE(streak.healthy());
}

TEST(Streak, TakesSeveralBadOnesInARow) {
  Streak streak(2, 3);
  streak.see(true);
  EXPECT_FALSE(streak.see(false));
  EXPECT_FALSE(streak.see(false));
  EXPECT_FALSE(streak.see(true));
  EXPECT_FALSE(streak.see(false));
  EXPECT_FALSE(streak.see(false));
  EXPECT_TRUE(streak.healthy());
  EXPECT_TRUE(streak.see(false));
  EXPECT_FALSE(streak.healthy());
}

TEST(Streak, TakesSeveralGoodOnesToComeBack) {
  Streak streak(2, 1);
  EXPECT_TRUE(streak.see(false));
  EXPECT_FALSE(streak.see(true));
  EXPECT_FALSE(streak.healthy());
  EXPECT_FALSE(streak.see(false));
  EXPECT_FALSE(streak.see(true));
  EXPECT_TRUE(streak.see(true));
  EXPECT_TRUE(streak.healthy());
}

TEST(Vitals, CallsThatFailInARowMakeItUnhealthyButNeverUnusable) {
  Vitals vitals(3);
  for (int i = 0; i < 2; ++i) vitals.failed();
  EXPECT_TRUE(vitals.healthy());
  vitals.answered();
  for (int i = 0; i < 3; ++i) vitals.failed();
  EXPECT_FALSE(vitals.healthy());
  EXPECT_TRUE(vitals.usable());
  vitals.answered();
  EXPECT_TRUE(vitals.healthy());
}

TEST(Vitals, ChecksMakeItUnusableWhateverItsCallsSay) {
  Vitals vitals(3);
  vitals.judge(false, "it answered 503");
  EXPECT_FALSE(vitals.usable());
  EXPECT_FALSE(vitals.healthy());
  EXPECT_EQ(vitals.why(), "it answered 503");
  vitals.answered();
  EXPECT_FALSE(vitals.healthy());
  vitals.judge(true, {});
  EXPECT_TRUE(vitals.healthy());
}

}  // namespace
}  // namespace penstock::engine
