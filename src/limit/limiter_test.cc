#include "limit/limiter.h"

#include <gtest/gtest.h>

namespace penstock::limit {
namespace {

const Time kNow{Duration(1000s)};
const WallTime kWall = std::chrono::sys_days(std::chrono::year(2026) / 11 / 27) + 23h;

class LimiterTest : public testing::Test {
 protected:
  AccountPtr account(Owner owner, Limits limits, const std::string& name = "a") {
    AccountPtr made = limiter.account(owner, name, "t", limits, kNow);
    for (const Period period : {Period::day, Period::month}) {
      if (made)
        made->state->spend[static_cast<std::size_t>(period)].seed(period_of(period, kWall), 0);
    }
    return made;
  }
  static Limits requests(std::uint64_t count) { return {.requests = Quota{count, 1min}}; }

  Limiter limiter;
};

TEST_F(LimiterTest, WhatIsNotLimitedHasNoAccountAndIsAdmitted) {
  EXPECT_EQ(account(Owner::key, {}), nullptr);
  EXPECT_EQ(account(Owner::key, {.requests = kUnlimited, .spend_day = kUnlimitedSpend}), nullptr);
  Ticket ticket;
  EXPECT_FALSE(limiter.admit({}, kNow, ticket));
  EXPECT_FALSE(limiter.reserve(ticket, 1'000'000, 1'000'000'000, kNow, kWall));
  EXPECT_FALSE(ticket.requests.said());
}

TEST_F(LimiterTest, SaysWhichLimitRefusedAndWhenToComeBack) {
  const Parties parties = {account(Owner::key, requests(2)), account(Owner::tenant, requests(100))};
  Ticket one;
  Ticket two;
  Ticket three;
  EXPECT_FALSE(limiter.admit(parties, kNow, one));
  EXPECT_EQ(one.requests.limit, 2u);
  EXPECT_EQ(one.requests.remaining, 1u);
  EXPECT_FALSE(limiter.admit(parties, kNow, two));
  const auto refusal = limiter.admit(parties, kNow, three);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->owner, Owner::key);
  EXPECT_EQ(refusal->what, What::requests);
  EXPECT_EQ(refusal->limit, 2u);
  EXPECT_EQ(refusal->retry_after, 30s);
  EXPECT_EQ(three.requests.remaining, 0u);
}

TEST_F(LimiterTest, WhatOneAdmittedBeforeAnotherRefusedGoesBack) {
  const AccountPtr key = account(Owner::key, {.requests = Quota{5, 1min}, .inflight = 5});
  const AccountPtr tenant = account(Owner::tenant, requests(1));
  const Parties parties = {key, tenant};
  Ticket one;
  Ticket two;
  EXPECT_FALSE(limiter.admit(parties, kNow, one));
  EXPECT_EQ(limiter.admit(parties, kNow, two)->owner, Owner::tenant);
  EXPECT_EQ(key->state->requests.look(*key->limits.requests, kNow).remaining, 4u);
  EXPECT_EQ(key->state->inflight.load(), 1);
}

TEST_F(LimiterTest, APlaceInFlightIsHeldUntilTheTicketEnds) {
  const AccountPtr key = account(Owner::key, {.inflight = 1});
  Ticket second;
  {
    Ticket first;
    EXPECT_FALSE(limiter.admit({key}, kNow, first));
    const auto refusal = limiter.admit({key}, kNow, second);
    ASSERT_TRUE(refusal);
    EXPECT_EQ(refusal->what, What::inflight);
    Ticket moved = std::move(first);
    EXPECT_TRUE(limiter.admit({key}, kNow, second));
  }
  EXPECT_FALSE(limiter.admit({key}, kNow, second));
  EXPECT_EQ(key->state->inflight.load(), 1);
}

TEST_F(LimiterTest, TokensAreReservedAndSettledOnce) {
  const AccountPtr key = account(Owner::key, {.tokens = Quota{1000, 1min}});
  const auto left = [&] { return key->state->tokens.look(*key->limits.tokens, kNow).remaining; };
  Ticket ticket;
  EXPECT_FALSE(limiter.admit({key}, kNow, ticket));
  EXPECT_FALSE(limiter.reserve(ticket, 600, 0, kNow, kWall));
  EXPECT_EQ(left(), 400u);
  Ticket other;
  EXPECT_FALSE(limiter.admit({key}, kNow, other));
  EXPECT_EQ(limiter.reserve(other, 600, 0, kNow, kWall)->what, What::tokens);
  ticket.settle(100, 0, kNow);
  EXPECT_EQ(left(), 900u);
  ticket.settle(500, 0, kNow);
  EXPECT_EQ(left(), 900u);
  EXPECT_FALSE(limiter.reserve(other, 600, 0, kNow, kWall));
  other.settle(700, 0, kNow);
  EXPECT_EQ(left(), 200u);
}

TEST_F(LimiterTest, WhatWasReservedForACallThatNeverCameGoesBack) {
  const AccountPtr key =
      account(Owner::key, {.tokens = Quota{1000, 1min}, .spend_day = Nano{1'000'000'000}});
  {
    Ticket ticket;
    EXPECT_FALSE(limiter.admit({key}, kNow, ticket));
    EXPECT_FALSE(limiter.reserve(ticket, 600, 500'000'000, kNow, kWall));
    EXPECT_EQ(key->state->spend[0].spent(period_of(Period::day, kWall)), 500'000'000);
  }
  EXPECT_EQ(key->state->tokens.look(*key->limits.tokens, kNow).remaining, 1000u);
  EXPECT_EQ(key->state->spend[0].spent(period_of(Period::day, kWall)), 0);
}

TEST_F(LimiterTest, MoneyIsRefusedUntilItsPeriodEnds) {
  const AccountPtr key = account(Owner::key, {.spend_day = Nano{1'000'000'000}});
  const AccountPtr tenant = account(Owner::tenant, {.tokens = Quota{1000, 1min}});
  Ticket ticket;
  EXPECT_FALSE(limiter.admit({key, tenant}, kNow, ticket));
  EXPECT_FALSE(limiter.reserve(ticket, 10, 900'000'000, kNow, kWall));
  ticket.settle(10, 950'000'000, kNow);
  Ticket next;
  EXPECT_FALSE(limiter.admit({key, tenant}, kNow, next));
  const auto refusal = limiter.reserve(next, 10, 100'000'000, kNow, kWall);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->what, What::spend_day);
  EXPECT_EQ(refusal->money, 1'000'000'000);
  EXPECT_EQ(refusal->retry_after, 1h);
}

TEST_F(LimiterTest, MoneyOfAPeriodThatIsNotKnownIsAskedForFirst) {
  const AccountPtr key = limiter.account(Owner::key, "k", "t", {.spend_month = Nano{100}}, kNow);
  Ticket ticket;
  EXPECT_FALSE(limiter.admit({key}, kNow, ticket));
  EXPECT_EQ(limiter.unseeded(ticket, kWall), key.get());
  EXPECT_TRUE(limiter.reserve(ticket, 1, 1, kNow, kWall));
  key->state->spend[1].seed(period_of(Period::month, kWall), 99);
  EXPECT_EQ(limiter.unseeded(ticket, kWall), nullptr);
  EXPECT_FALSE(limiter.reserve(ticket, 1, 1, kNow, kWall));
}

TEST_F(LimiterTest, AStateOutlivesAReload) {
  const Parties before = {account(Owner::key, requests(10))};
  Ticket ticket;
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(limiter.admit(before, kNow, ticket));
  const AccountPtr after = account(Owner::key, requests(5));
  EXPECT_EQ(after->state, before[0]->state);
}

TEST(Limits, ADefaultHoldsOnlyWhereNeitherKeyNorTenantDecides) {
  const Limits standard{.requests = Quota{1, 1s}, .tokens = Quota{2, 1s}, .inflight = 3};
  const Limits tenant{.tokens = Quota{20, 1s}};
  const Limits own{.requests = kUnlimited};
  const Limits limits = own_limits(own, tenant, standard);
  EXPECT_EQ(limits.requests, kUnlimited);
  EXPECT_EQ(limits.tokens, std::nullopt);
  EXPECT_EQ(limits.inflight, 3u);
}

TEST(Periods, EndAtMidnightAndWithTheMonthUtc) {
  EXPECT_EQ(left_of(Period::day, kWall), 1h);
  EXPECT_EQ(left_of(Period::month, kWall), 24h * 3 + 1h);
  EXPECT_EQ(period_of(Period::month, kWall) + 1, period_of(Period::month, kWall + 24h * 4));
  EXPECT_EQ(period_of(Period::day, kWall) + 1, period_of(Period::day, kWall + 1h));
}

}  // namespace
}  // namespace penstock::limit
