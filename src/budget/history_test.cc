#include "budget/history.h"

#include <gtest/gtest.h>

namespace penstock::budget {
namespace {

constexpr std::int64_t kNow = 29'900'000;  // 2026-11-07, not at a whole hour

TEST(History, SumsTheMinutesOfAWindowTheRunningOneIncluded) {
  History history;
  for (std::int64_t ago = 0; ago < 120; ++ago) history.add(kNow - ago, {1, 2}, kNow);
  EXPECT_EQ(history.sum(5, kNow), (Count{5, 10}));
  EXPECT_EQ(history.sum(60, kNow), (Count{60, 120}));
  EXPECT_EQ(history.sum(1440, kNow), (Count{120, 240}));
  EXPECT_EQ(history.sum(30 * 1440, kNow), (Count{120, 240}));
}

TEST(History, ForgetsWhatIsOlderThanItsWindows) {
  History history;
  history.add(kNow, {7, 7}, kNow);
  EXPECT_EQ(history.sum(5, kNow + 4), (Count{7, 7}));
  EXPECT_EQ(history.sum(5, kNow + 5), (Count{}));
  EXPECT_EQ(history.sum(1440, kNow + 1439), (Count{7, 7}));
  EXPECT_EQ(history.sum(1440, kNow + 1440), (Count{}));
  EXPECT_EQ(history.sum(30 * 1440, kNow + 30 * 1440), (Count{7, 7}));
  EXPECT_EQ(history.sum(30 * 1440, kNow + 30 * 1440 + 60), (Count{}));
}

TEST(History, GivesThePlaceOfAnOldMinuteToANewOne) {
  History history;
  history.add(kNow, {1, 1}, kNow);
  history.add(kNow + History::kMinutes, {2, 2}, kNow + History::kMinutes);
  EXPECT_EQ(history.sum(1, kNow + History::kMinutes), (Count{2, 2}));
  // And not to one that comes late.
  history.add(kNow, {4, 4}, kNow + History::kMinutes);
  EXPECT_EQ(history.sum(1440, kNow + History::kMinutes), (Count{2, 2}));
  EXPECT_EQ(history.sum(3 * 1440, kNow + History::kMinutes), (Count{7, 7}));
}

TEST(History, TakesAMinuteThatIsAheadForTheRunningOne) {
  History history;
  history.add(kNow + 90, {3, 4}, kNow);
  EXPECT_EQ(history.sum(1, kNow), (Count{3, 4}));
}

TEST(History, KnowsOfDaysByTheirHours) {
  History history;
  history.add_hour((kNow - 2 * 1440) / 60 * 60, {50, 60}, kNow);
  history.add(kNow - 100, {1, 1}, kNow);
  EXPECT_EQ(history.sum(1440, kNow), (Count{1, 1}));
  EXPECT_EQ(history.sum(3 * 1440, kNow), (Count{51, 61}));
  history.add_hour(kNow - 40 * 1440, {9, 9}, kNow);
  EXPECT_EQ(history.sum(30 * 1440, kNow), (Count{51, 61}));
}

TEST(History, TakesLateMinutesOutAgain) {
  History history;
  history.add(kNow - 20, {1, 1}, kNow);
  history.add(kNow - 3, {2, 5}, kNow);
  history.forget_from(kNow - 10);
  EXPECT_EQ(history.sum(60, kNow), (Count{1, 1}));
  EXPECT_EQ(history.sum(30 * 1440, kNow), (Count{1, 1}));
}

}  // namespace
}  // namespace penstock::budget
