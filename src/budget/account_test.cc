#include "budget/account.h"

#include <gtest/gtest.h>

#include <cmath>

namespace penstock::budget {
namespace {

constexpr std::int64_t kNow = 29'900'000;

Objective objective(std::string name, Of of, double limit, double share) {
  Objective one;
  one.name = std::move(name);
  one.of = of;
  one.limit = limit;
  one.share = share;
  one.live = true;
  return one;
}

std::vector<Objective> all() {
  return {
      objective("latency", Of::response, 0.2, 0.95),   objective("first", Of::first_token, 1, 0.9),
      objective("overhead", Of::overhead, 0.01, 0.99), objective("errors", Of::errors, 0.01, 0.99),
      objective("cache", Of::cache, 0, 0.8),           objective("cpu", Of::cpu, 0.7, 0.99)};
}

class BudgetAccount : public testing::Test {
 protected:
  Count counted(std::size_t objective, std::size_t window = 0) {
    return account_.standings()[objective][window];
  }
  void minute(std::int64_t at, double cpu, int looks = 60) {
    for (int i = 0; i < looks; ++i) account_.tick(at, {.cpu = cpu});
  }

  Account account_{all(), 2};
};

TEST_F(BudgetAccount, CountsEachRequestForWhatItIsAbout) {
  Tally& one = account_.tally(0);
  one.answered({.status = 200, .engine_spared = true, .took = 200ms, .overhead = 10ms});
  one.answered({.status = 200, .engine_asked = true, .took = 201ms, .overhead = 11ms});
  account_.tally(1).answered({.status = 200, .stream = true, .took = 10s, .overhead = 1ms});
  account_.tally(1).answered({.status = 429, .took = 1s, .overhead = 1ms});
  account_.tally(1).answered({.status = 503, .engine_asked = true, .took = 1s, .overhead = 1ms});
  account_.tally(1).first_token(999ms);
  account_.tally(0).first_token(1001ms);
  account_.tick(kNow, {});
  EXPECT_EQ(counted(0), (Count{1, 2}));  // streams and failures are no answers in time
  EXPECT_EQ(counted(1), (Count{1, 2}));
  EXPECT_EQ(counted(2), (Count{4, 5}));
  EXPECT_EQ(counted(3), (Count{4, 5}));  // a refusal is no error of ours
  EXPECT_EQ(counted(4), (Count{1, 3}));
}

TEST_F(BudgetAccount, CountsOnce) {
  account_.tally(0).first_token(1ms);
  account_.tick(kNow, {});
  account_.tick(kNow, {});
  account_.tick(kNow + 1, {});
  EXPECT_EQ(counted(1), (Count{1, 1}));
}

TEST_F(BudgetAccount, WeighsAMinuteByItsMeanOnceItIsOver) {
  minute(kNow, 0.6, 30);
  minute(kNow, 0.75, 30);
  EXPECT_EQ(counted(5), (Count{}));
  minute(kNow + 1, 0.9);
  EXPECT_EQ(counted(5), (Count{1, 1}));
  minute(kNow + 2, 0.1);
  EXPECT_EQ(counted(5), (Count{1, 2}));
}

TEST_F(BudgetAccount, SaysNothingOfAMinuteThatWasHardlySeen) {
  minute(kNow, 0.9, 29);
  minute(kNow + 1, -1);  // not known
  minute(kNow + 2, 0.1, 1);
  EXPECT_EQ(counted(5), (Count{}));
}

TEST_F(BudgetAccount, TellsUntilItIsWrittenAndAgainWhenItHasGrown) {
  account_.tally(0).first_token(1ms);
  account_.tick(kNow, {});
  const std::vector<Account::Minute> first = account_.unwritten();
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].minute, kNow);
  EXPECT_EQ(first[0].objective, 1u);
  EXPECT_EQ(first[0].count, (Count{1, 1}));
  account_.tally(0).first_token(2s);
  account_.tick(kNow, {});  // while the first is being written
  account_.written(first);
  const std::vector<Account::Minute> second = account_.unwritten();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].count, (Count{1, 2}));  // the whole minute, so that it may be written again
  account_.written(second);
  EXPECT_TRUE(account_.unwritten().empty());
}

TEST_F(BudgetAccount, KeepsAWeekWhileTheStoreIsAway) {
  const auto week = static_cast<std::int64_t>(Account::kMostWaiting);
  for (std::int64_t i = 0; i < week + 3; ++i) {
    account_.tally(0).first_token(1ms);
    account_.tick(kNow + i, {});
  }
  EXPECT_EQ(account_.unwritten().size(), Account::kMostWaiting);
  EXPECT_EQ(account_.given_up(), 3u);
  account_.written(account_.unwritten());
  EXPECT_TRUE(account_.unwritten().empty());
}

TEST_F(BudgetAccount, AddsWhatOthersCountedAndTakesItsPlaceWhenItIsReadAgain) {
  account_.tally(0).first_token(1ms);
  account_.tick(kNow, {});
  Account::Past past;
  past.hours = {{(kNow - 5 * 1440) / 60 * 60, 1, {10, 20}}};
  past.minutes = {{kNow - 3, 1, {2, 3}}, {kNow - 50, 1, {5, 5}}};
  account_.take_others(past, kNow);
  account_.take_others(past, kNow);
  EXPECT_EQ(counted(1, 0), (Count{3, 4}));
  EXPECT_EQ(counted(1, 2), (Count{8, 9}));
  EXPECT_EQ(counted(1, kLongest), (Count{18, 29}));
  account_.take_recent({{kNow - 3, 1, {4, 6}}}, kNow - 10, kNow);
  EXPECT_EQ(counted(1, 0), (Count{5, 7}));
  EXPECT_EQ(counted(1, kLongest), (Count{20, 32}));
}

TEST_F(BudgetAccount, BeginsNoMinuteAgainWhenTheClockIsSetBack) {
  account_.tally(0).first_token(1ms);
  account_.tick(kNow, {});
  account_.tally(0).first_token(1ms);
  account_.tick(kNow - 5, {});
  const std::vector<Account::Minute> minutes = account_.unwritten();
  ASSERT_EQ(minutes.size(), 1u);
  EXPECT_EQ(minutes[0].count, (Count{2, 2}));
  account_.tally(0).first_token(1ms);
  account_.tick(kNow - 500, {});  // it was wrong before
  EXPECT_EQ(account_.unwritten().size(), 2u);
}

TEST(BurnRate, IsOneWhereJustSoMuchIsMissedAsMayBe) {
  EXPECT_NEAR(burn_rate({95, 100}, 0.95), 1, 1e-9);
  EXPECT_NEAR(burn_rate({0, 100}, 0.95), 20, 1e-9);
  EXPECT_DOUBLE_EQ(burn_rate({100, 100}, 0.95), 0);
  EXPECT_DOUBLE_EQ(burn_rate({}, 0.95), 0);
}

}  // namespace
}  // namespace penstock::budget
