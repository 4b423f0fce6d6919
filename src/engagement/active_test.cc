#include "engagement/active.h"

#include <gtest/gtest.h>

#include "base/uuid.h"
#include "engagement/redis_shared.h"
#include "redis/client_testing.h"

namespace penstock::engagement {
namespace {

const WallTime kNow{std::chrono::seconds(1'796'000'010)};

TEST(ActiveUsers, AreThoseOfTheWindow) {
  Active active(false);
  for (std::uint64_t user = 1; user <= 100; ++user) active.saw(user, kNow);
  for (std::uint64_t user = 1; user <= 10; ++user) active.saw(user, kNow + 10min);
  active.saw(1000, kNow + 10min);
  const WallTime then = kNow + 10min;
  EXPECT_NEAR(11, static_cast<double>(active.users(Active::minutes5, then)), 0.5);
  EXPECT_NEAR(101, static_cast<double>(active.users(Active::hour, then)), 2);
  EXPECT_NEAR(101, static_cast<double>(active.users(Active::day, then)), 2);
  EXPECT_EQ(0u, active.users(Active::minutes5, then + 6min));
  EXPECT_EQ(0u, active.users(Active::hour, then + 66min));
  EXPECT_NEAR(101, static_cast<double>(active.users(Active::day, then + 20h)), 2);
  EXPECT_EQ(0u, active.users(Active::day, then + 26h));
}

TEST(ActiveUsers, AreForgottenWhenTheirSlotIsUsedAgain) {
  Active active(false);
  for (int day = 0; day < 5; ++day) {
    const WallTime now = kNow + day * 100h;
    for (std::uint64_t user = 1; user <= 50; ++user) {
      active.saw(static_cast<std::uint64_t>(day) * 1000 + user, now);
    }
    EXPECT_NEAR(50, static_cast<double>(active.users(Active::day, now)), 1);
  }
}

TEST(ActiveUsers, DoNotMindAClockThatGoesBack) {
  Active active(false);
  active.saw(1, kNow);
  active.saw(2, kNow - 1h);
  EXPECT_EQ(1u, active.users(Active::minutes5, kNow - 1h)) << "the future is not counted";
  EXPECT_EQ(1u, active.users(Active::minutes5, kNow));
  EXPECT_EQ(2u, active.users(Active::day, kNow));
}

class SharedUsers : public redis::ClientTest {};

TEST_F(SharedUsers, AreCountedOverTheNodesAsRedisCountsThem) {
  redis::RedisServer server;
  const auto client = client_for(options_for(server.url()));
  RedisShared shared(*client);
  Active first(true);
  Active second(true);
  Active all(false);
  Random random(3);
  for (int i = 0; i < 3000; ++i) {
    const std::uint64_t user = random.next() % 4000;
    first.saw(user, kNow);
    all.saw(user, kNow);
  }
  for (int i = 0; i < 3000; ++i) {
    const std::uint64_t user = 2000 + random.next() % 4000;
    second.saw(user, kNow);
    all.saw(user, kNow);
  }
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 10s);
    Result<void> one = co_await first.exchange(shared, kNow, deadline);
    Result<void> two = co_await second.exchange(shared, kNow, deadline);
    Result<void> again = co_await first.exchange(shared, kNow, deadline);
    EXPECT_TRUE(one.ok() && two.ok() && again.ok());
  });
  for (const auto window : {Active::minutes5, Active::hour, Active::day}) {
    // The same hash, the same registers, the same estimator: the very same number.
    EXPECT_EQ(all.users(window, kNow), first.users(window, kNow));
    EXPECT_EQ(all.users(window, kNow), second.users(window, kNow));
  }
  EXPECT_GT(server.ask({"TTL", "penstock:{active}:5m:59866667"}).integer, 0);
}

TEST_F(SharedUsers, AreThisNodesWhileRedisIsAwayAndSentWhenItIsBack) {
  redis::RedisServer server;
  const auto client = client_for(options_for(server.url()));
  RedisShared shared(*client);
  Active active(true);
  Active other(true);
  for (std::uint64_t user = 1; user <= 20; ++user) other.saw(user, kNow);
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 10s);
    Result<void> sent = co_await other.exchange(shared, kNow, deadline);
    EXPECT_TRUE(sent.ok());
  });
  server.kill();
  for (std::uint64_t user = 101; user <= 105; ++user) active.saw(user, kNow);
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 10s);
    Result<void> sent = co_await active.exchange(shared, kNow, deadline);
    EXPECT_FALSE(sent.ok());
  });
  EXPECT_EQ(5u, active.users(Active::hour, kNow));
  server.start();
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 20s);
    for (bool done = false; !done && !deadline.over();) {
      Result<void> sent = co_await active.exchange(shared, kNow, deadline);
      done = sent.ok();
      co_await loop_.turn();
    }
  });
  EXPECT_EQ(5u, active.users(Active::hour, kNow)) << "it was started anew, and empty";
  EXPECT_EQ(5, server.ask({"PFCOUNT", "penstock:{active}:1h:5986666"}).integer);
  EXPECT_EQ(5u, active.users(Active::hour, kNow + 61s));
}

}  // namespace
}  // namespace penstock::engagement
