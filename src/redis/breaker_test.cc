#include "redis/breaker.h"

#include <gtest/gtest.h>

#include "redis/backoff.h"

namespace penstock::redis {
namespace {

const Time kNow = Time() + 1h;

void fail(Breaker& breaker, int times, bool connecting = false) {
  for (int i = 0; i < times; ++i) breaker.failed(kNow, connecting);
}

TEST(RedisBreaker, OpensAtTheFifthFailureInARow) {
  Breaker breaker;
  fail(breaker, 4);
  breaker.succeeded();
  fail(breaker, 4);
  EXPECT_TRUE(breaker.take(kNow));
  EXPECT_TRUE(breaker.failed(kNow, false));
  EXPECT_FALSE(breaker.take(kNow));
  EXPECT_FALSE(breaker.take(kNow + 999ms));
  EXPECT_FALSE(breaker.failed(kNow, false));  // of a command that was under way
}

TEST(RedisBreaker, LetsOneTryAndDoublesUpToThirtySeconds) {
  Breaker breaker;
  fail(breaker, 5);
  Time now = kNow;
  for (const Duration wait : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) {
    EXPECT_EQ(breaker.open_for(), wait);
    EXPECT_FALSE(breaker.take(now + wait - 1ms));
    now += wait;
    EXPECT_TRUE(breaker.take(now));
    EXPECT_FALSE(breaker.take(now));
    breaker.failed(now, false);
  }
  now += 30s;
  EXPECT_TRUE(breaker.take(now));
  breaker.left();
  EXPECT_TRUE(breaker.take(now));
  breaker.succeeded();
  EXPECT_TRUE(breaker.take(now));
  EXPECT_TRUE(breaker.take(now));
  fail(breaker, 5);
  EXPECT_EQ(breaker.open_for(), 1s);
}

TEST(RedisBreaker, AConnectionMendsWhatConnectingBrokeAndNoMore) {
  Breaker breaker;
  fail(breaker, 5, true);
  EXPECT_FALSE(breaker.take(kNow));
  breaker.connected();
  EXPECT_TRUE(breaker.take(kNow));
  fail(breaker, 4, true);
  fail(breaker, 1, false);
  breaker.connected();
  EXPECT_FALSE(breaker.take(kNow));
}

TEST(RedisBackoff, BeginsAtOnceAndStaysWithinFiveSeconds) {
  Backoff backoff;
  EXPECT_EQ(backoff.next(), Duration::zero());
  Duration whole = Backoff::kFirst;
  for (int i = 0; i < 20; ++i) {
    const Duration wait = backoff.next();
    EXPECT_GE(wait, whole / 2);
    EXPECT_LE(wait, whole);
    whole = std::min(whole * 2, Duration(Backoff::kMost));
  }
  backoff.reset();
  EXPECT_EQ(backoff.next(), Duration::zero());
}

}  // namespace
}  // namespace penstock::redis
