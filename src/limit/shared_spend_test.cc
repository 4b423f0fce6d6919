#include "limit/shared_spend.h"

#include <gtest/gtest.h>

#include "limit/shared_inflight.h"
#include "redis/client_testing.h"

namespace penstock::limit {
namespace {

using redis::Client;
using redis::RedisServer;

WallTime at(int year, unsigned month, unsigned day) {
  return std::chrono::sys_days(std::chrono::year(year) / std::chrono::month(month) /
                               std::chrono::day(day)) +
         12h;
}

Account account_of(const std::string& tenant, const std::string& name, std::optional<Nano> day,
                   std::optional<Nano> month) {
  Account account;
  account.tenant = tenant;
  account.name = name;
  account.owner = Owner::key;
  account.limits.spend_day = day;
  account.limits.spend_month = month;
  return account;
}

// ---- names -------------------------------------------------------------------------------------

TEST(SharedKeys, NameTenantOwnerAndPeriod) {
  const Account account = account_of("acme", "key_1", 1, 1);
  EXPECT_EQ(limit_key(What::tokens, account), "penstock:limit:{acme}:tokens:key:key_1");
  EXPECT_EQ(spend_key(Period::day, account, at(2026, 11, 27)),
            "penstock:spend:{acme}:key:key_1:2026-11-27");
  EXPECT_EQ(spend_key(Period::month, account, at(2026, 11, 27)),
            "penstock:spend:{acme}:key:key_1:2026-11");
}

TEST(SharedKeys, NoNameIsTakenForAnother) {
  const Account odd = account_of("a}:requests:key:x", "b:c%\n", 1, 1);
  EXPECT_EQ(limit_key(What::requests, odd),
            "penstock:limit:{a%7D%3Arequests%3Akey%3Ax}:requests:key:b%3Ac%25%0A");
  Account global;
  global.owner = Owner::global;
  Account tenant;
  tenant.owner = Owner::tenant;
  tenant.tenant = "*global";
  EXPECT_NE(limit_key(What::requests, global), limit_key(What::requests, tenant));
}

// ---- money -------------------------------------------------------------------------------------

class SharedSpendTest : public redis::ClientTest {
 protected:
  Task<Reserved> reserve(const Account& account, Nano estimate, WallTime wall) {
    Deadline deadline(loop_, Clock::now() + 10s);
    Result<Reserved> reserved = co_await spend.reserve(*client, account, estimate, wall, deadline);
    EXPECT_TRUE(reserved.ok());
    co_return reserved ? *reserved : Reserved();
  }
  Task<void> seed(const Account& account, Period period, Nano sum, WallTime wall) {
    Deadline deadline(loop_, Clock::now() + 10s);
    Result<void> done = co_await spend.seed(*client, account, period, sum, wall, deadline);
    EXPECT_TRUE(done.ok());
  }
  Task<void> settle(const Account& account, Nano difference, WallTime wall) {
    Deadline deadline(loop_, Clock::now() + 10s);
    Result<void> done = co_await spend.settle(*client, account, difference, wall, deadline);
    EXPECT_TRUE(done.ok());
  }
  using Outcome = Reserved::Outcome;

  RedisServer server;
  SharedSpend spend{Shared::make("a")};
  std::unique_ptr<Client> client = client_for(options_for(server.url()));
  const WallTime today = at(2026, 11, 30);
};

TEST_F(SharedSpendTest, IsUnknownUntilTheLedgerTellsIt) {
  const Account account = account_of("acme", "key_1", 1'000, 5'000);
  run([&]() -> Task<void> {
    Reserved reserved = co_await reserve(account, 10, today);
    EXPECT_EQ(reserved.outcome, Outcome::unknown);
    EXPECT_EQ(reserved.which, Period::day);
    co_await seed(account, Period::day, 900, today);
    reserved = co_await reserve(account, 10, today);
    EXPECT_EQ(reserved.outcome, Outcome::unknown);
    EXPECT_EQ(reserved.which, Period::month);
    co_await seed(account, Period::month, 900, today);
    reserved = co_await reserve(account, 10, today);
    EXPECT_EQ(reserved.outcome, Outcome::reserved);
    EXPECT_EQ(reserved.spent, (std::array<Nano, 2>{910, 910}));
    co_await seed(account, Period::day, 0, today);  // too late
    reserved = co_await reserve(account, 0, today);
    EXPECT_EQ(reserved.spent[0], 910);
  });
}

TEST_F(SharedSpendTest, RefusesWhatWouldGoBeyondAndSettlesTheDifference) {
  const Account account = account_of("acme", "key_1", 1'000, std::nullopt);
  run([&]() -> Task<void> {
    co_await seed(account, Period::day, 0, today);
    Reserved reserved = co_await reserve(account, 700, today);
    EXPECT_EQ(reserved.outcome, Outcome::reserved);
    reserved = co_await reserve(account, 301, today);
    EXPECT_EQ(reserved.outcome, Outcome::refused);
    EXPECT_EQ(reserved.which, Period::day);
    EXPECT_EQ(reserved.spent[0], 700);
    co_await settle(account, -500, today);
    reserved = co_await reserve(account, 800, today);
    EXPECT_EQ(reserved.outcome, Outcome::reserved);
    EXPECT_EQ(reserved.spent[0], 1'000);
    co_await settle(account, 50, today);
    reserved = co_await reserve(account, 0, today);
    EXPECT_EQ(reserved.outcome, Outcome::refused);
    EXPECT_EQ(reserved.spent[0], 1'050);
  });
}

TEST_F(SharedSpendTest, AMonthThatRefusesTakesNothingOfTheDay) {
  const Account account = account_of("acme", "key_1", 1'000, 100);
  run([&]() -> Task<void> {
    co_await seed(account, Period::day, 0, today);
    co_await seed(account, Period::month, 95, today);
    Reserved reserved = co_await reserve(account, 10, today);
    EXPECT_EQ(reserved.outcome, Outcome::refused);
    EXPECT_EQ(reserved.which, Period::month);
    EXPECT_EQ(reserved.spent, (std::array<Nano, 2>{0, 95}));
    EXPECT_EQ(server.ask({"GET", spend_key(Period::day, account, today)}).text, "0");
  });
}

TEST_F(SharedSpendTest, ANewDayBeginsUnknownAndTheOldOneIsSettledWhereItWas) {
  const Account account = account_of("acme", "key_1", 1'000, std::nullopt);
  const WallTime tomorrow = at(2026, 12, 1);
  run([&]() -> Task<void> {
    co_await seed(account, Period::day, 0, today);
    Reserved reserved = co_await reserve(account, 600, today);
    EXPECT_EQ(reserved.outcome, Outcome::reserved);
    reserved = co_await reserve(account, 600, tomorrow);
    EXPECT_EQ(reserved.outcome, Outcome::unknown);
    co_await seed(account, Period::day, 0, tomorrow);
    co_await settle(account, -100, today);
    reserved = co_await reserve(account, 600, tomorrow);
    EXPECT_EQ(reserved.spent[0], 600);
    EXPECT_EQ(server.ask({"GET", spend_key(Period::day, account, today)}).text, "500");
  });
}

TEST_F(SharedSpendTest, KeepsDaysForTwoDaysAndMonthsForForty) {
  const Account account = account_of("acme", "key_1", 1, 1);
  run([&]() -> Task<void> {
    co_await seed(account, Period::day, 0, today);
    co_await seed(account, Period::month, 0, today);
    co_await settle(account, 1, today);  // changes no expiry
  });
  const auto lasts = [&](Period period) {
    return server.ask({"TTL", spend_key(period, account, today)}).integer;
  };
  EXPECT_NEAR(static_cast<double>(lasts(Period::day)), 2 * 86'400, 10);
  EXPECT_NEAR(static_cast<double>(lasts(Period::month)), 40 * 86'400, 10);
}

TEST_F(SharedSpendTest, WithoutRedisThereIsNoAnswerThatCouldBeTakenForYes) {
  const Account account = account_of("acme", "key_1", 1'000, std::nullopt);
  server.kill();
  run([&]() -> Task<void> {
    const bool away = co_await until([&] { return !client->available(); });
    EXPECT_TRUE(away);
    Deadline deadline(loop_, Clock::now() + 10s);
    Result<Reserved> reserved = co_await spend.reserve(*client, account, 1, today, deadline);
    EXPECT_FALSE(reserved.ok());
    EXPECT_EQ(reserved.error().kind, Kind::unreachable);
  });
}

// ---- requests at a time ------------------------------------------------------------------------

class SharedPlacesTest : public redis::ClientTest {
 protected:
  struct Node {
    std::shared_ptr<Shared> shared;
    std::shared_ptr<SharedPlaces> places;
  };
  Node node(const std::string& name, unsigned nodes = 2) {
    const auto shared = Shared::make(name);
    shared->set_nodes(nodes);
    return {shared, std::make_shared<SharedPlaces>(shared, "penstock:limit:{acme}:inflight:key:k")};
  }
  Task<bool> enter(Node& node, std::uint64_t limit) {
    Deadline deadline(loop_, Clock::now() + 10s);
    const bool good = co_await SharedPlaces::enter(node.places, client.get(), limit, deadline);
    co_return good;
  }
  Task<void> housekeeping(Node& node, Duration time) {
    Deadline keeping(loop_, Clock::now() + time);
    co_await Shared::keep(node.shared, *client, keeping);
  }
  Task<bool> ready() {
    const bool good = co_await until([&] { return client->connections() == 2; });
    co_return good;
  }

  RedisServer server;
  std::unique_ptr<Client> client = client_for(options_for(server.url()));
};

TEST_F(SharedPlacesTest, AreCountedOverTheNodes) {
  Node a = node("a");
  Node b = node("b");
  run([&]() -> Task<void> {
    bool good = co_await ready();
    for (int i = 0; i < 3; ++i) {
      good = co_await enter(a, 5);
      EXPECT_TRUE(good);
    }
    for (int i = 0; i < 2; ++i) {
      good = co_await enter(b, 5);
      EXPECT_TRUE(good);
    }
    good = co_await enter(b, 5);
    EXPECT_FALSE(good);
    good = co_await enter(a, 5);
    EXPECT_FALSE(good);
    EXPECT_EQ(a.places->here(), 3);
    EXPECT_EQ(b.places->here(), 2);
    a.places->leave();
    co_await housekeeping(a, 200ms);
    good = co_await enter(b, 5);
    EXPECT_TRUE(good);
    good = co_await enter(a, 5);
    EXPECT_FALSE(good);
  });
}

TEST_F(SharedPlacesTest, ASilentNodeHoldsNothing) {
  Node b = node("b");
  run([&]() -> Task<void> {
    bool good = co_await ready();
    // What a node said that was heard of eleven seconds ago.
    const redis::Value time = server.ask({"TIME"});
    const auto now = std::stoll(time.items[0].text) * 1'000'000;
    const auto say = [&](long long ago) {
      server.ask({"HSET", "penstock:limit:{acme}:inflight:key:k", "a",
                  "5 1 " + std::to_string(now - ago * 1'000'000)});
    };
    say(5);
    good = co_await enter(b, 5);
    EXPECT_FALSE(good);
    say(12);
    good = co_await enter(b, 5);
    EXPECT_TRUE(good);
    EXPECT_EQ(server.ask({"HLEN", "penstock:limit:{acme}:inflight:key:k"}).integer, 1);
  });
}

TEST_F(SharedPlacesTest, AWordThatWasOvertakenChangesNothing) {
  Node a = node("a");
  run([&]() -> Task<void> {
    bool good = co_await ready();
    good = co_await enter(a, 5);
    EXPECT_TRUE(good);
    const std::string before =
        server.ask({"HGET", "penstock:limit:{acme}:inflight:key:k", "a"}).text;
    const Scripts scripts;
    Deadline deadline(loop_, Clock::now() + 10s);
    const std::array<std::string_view, 1> keys = {"penstock:limit:{acme}:inflight:key:k"};
    const std::array<std::string_view, 5> old = {"a", "4", "1", "-1", "10000000"};
    Result<redis::Value> value = co_await client->eval(scripts.inflight, keys, old, deadline);
    EXPECT_TRUE(value.ok());
    EXPECT_EQ(server.ask({"HGET", "penstock:limit:{acme}:inflight:key:k", "a"}).text, before);
  });
}

TEST_F(SharedPlacesTest, WithoutRedisEachNodeHasItsShare) {
  Node a = node("a", 2);
  server.kill();
  run([&]() -> Task<void> {
    const bool away = co_await until([&] { return !client->available(); });
    EXPECT_TRUE(away);
    bool good = co_await enter(a, 4);
    EXPECT_TRUE(good);
    good = co_await enter(a, 4);
    EXPECT_TRUE(good);
    good = co_await enter(a, 4);
    EXPECT_FALSE(good);
    EXPECT_EQ(a.places->here(), 2);
  });
}

}  // namespace
}  // namespace penstock::limit
