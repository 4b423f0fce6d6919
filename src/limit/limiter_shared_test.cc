// The limiter of two nodes over one Redis.
#include <gtest/gtest.h>

#include "limit/limiter.h"
#include "limit/shared_inflight.h"
#include "redis/client_testing.h"

namespace penstock::limit {
namespace {

using redis::Client;
using redis::RedisServer;

const WallTime kWall = std::chrono::sys_days(std::chrono::year(2026) / 11 / 27) + 23h;

class LimiterSharedTest : public redis::ClientTest {
 protected:
  struct Node {
    explicit Node(const std::string& name) : shared(Shared::make(name, 2s)) {
      shared->set_nodes(2);
      limiter.share(shared);
    }
    AccountPtr account(Owner owner, const Limits& limits, const std::string& name = "n") {
      return limiter.account(owner, name, "acme", limits, Clock::now());
    }
    std::shared_ptr<Shared> shared;
    Limiter limiter;
  };
  Task<std::optional<Refused>> admit(Node& node, const Parties& parties, Ticket& ticket) {
    Deadline deadline(loop_, Clock::now() + 10s);
    std::optional<Refused> refused =
        co_await node.limiter.admit_shared(parties, client.get(), ticket, deadline);
    co_return refused;
  }
  Task<Result<std::optional<Refused>>> reserve(Node& node, Ticket& ticket, std::uint64_t tokens,
                                               Nano cost) {
    Deadline deadline(loop_, Clock::now() + 10s);
    const Limiter::Spent spent = [this](Owner, std::string name, Period, WallTime,
                                        Deadline&) -> Task<Result<Nano>> {
      return ledger_says(std::move(name));
    };
    Result<std::optional<Refused>> refused = co_await node.limiter.reserve_shared(
        ticket, tokens, cost, kWall, client.get(), spent, deadline);
    co_return refused;
  }
  Task<Result<Nano>> ledger_says(std::string) {
    ++asked_ledger;
    if (!ledger) co_return Error{Kind::unreachable, Source::store, true, "no ledger"};
    co_return *ledger;
  }
  Task<void> housekeeping(Node& node) {
    Deadline keeping(loop_, Clock::now() + 200ms);
    co_await Shared::keep(node.shared, *client, keeping);
  }
  static Limits requests(std::uint64_t count) { return {.requests = Quota{count, 1h}}; }

  RedisServer server;
  std::unique_ptr<Client> client = client_for(options_for(server.url()));
  std::optional<Nano> ledger = 0;
  int asked_ledger = 0;
  Node a{"a"}, b{"b"};
};

TEST_F(LimiterSharedTest, CountsTheRequestsOfBothNodes) {
  run([&]() -> Task<void> {
    for (int i = 0; i < 5; ++i) {
      Node& node = i % 2 == 0 ? a : b;
      Ticket ticket;
      const Parties parties1 = {node.account(Owner::key, requests(5))};
      const auto refused = co_await admit(node, parties1, ticket);
      EXPECT_FALSE(refused);
      EXPECT_EQ(ticket.requests.limit, 5u);
      EXPECT_EQ(ticket.requests.remaining, static_cast<std::uint64_t>(4 - i));
    }
    Ticket ticket;
    const Parties parties2 = {b.account(Owner::key, requests(5))};
    const auto refused = co_await admit(b, parties2, ticket);
    EXPECT_TRUE(refused);
    EXPECT_EQ(refused->what, What::requests);
    EXPECT_EQ(refused->limit, 5u);
    EXPECT_GT(refused->retry_after, 11min);
    EXPECT_LE(refused->retry_after, 12min);
  });
}

TEST_F(LimiterSharedTest, AKeyMayNotTakeWhatItsTenantRefuses) {
  run([&]() -> Task<void> {
    const AccountPtr key =
        a.account(Owner::key, {.requests = Quota{10, 1h}, .inflight = 10}, "key_1");
    const Parties parties = {key, a.account(Owner::tenant, requests(1), "acme")};
    Ticket one;
    Ticket two;
    auto refused = co_await admit(a, parties, one);
    EXPECT_FALSE(refused);
    refused = co_await admit(a, parties, two);
    EXPECT_TRUE(refused);
    EXPECT_EQ(refused->owner, Owner::tenant);
    EXPECT_EQ(key->state->shared_places->here(), 1);
    co_await housekeeping(a);
    Ticket three;  // the other node sees nine left of the key
    const Parties parties3 = {b.account(Owner::key, requests(10), "key_1")};
    refused = co_await admit(b, parties3, three);
    EXPECT_FALSE(refused);
    EXPECT_EQ(three.requests.remaining, 8u);
  });
}

TEST_F(LimiterSharedTest, WhatIsHeldIsAdmittedWithoutAskingRedis) {
  run([&]() -> Task<void> {
    const Limits limits{.requests = Quota{1'000, 1s}, .inflight = 100};
    const AccountPtr key = a.account(Owner::key, limits);
    Ticket unknown;
    auto refused = a.limiter.admit({key}, Clock::now(), unknown);
    EXPECT_TRUE(refused && refused->ask);
    Ticket asked;
    const Parties parties4 = {key};
    refused = co_await admit(a, parties4, asked);
    EXPECT_FALSE(refused);
    for (int i = 0; i < 40; ++i) {
      Ticket ticket;
      refused = a.limiter.admit({key}, Clock::now(), ticket);
      EXPECT_FALSE(refused);
      EXPECT_TRUE(ticket.requests.said());
    }
    EXPECT_EQ(key->state->shared_places->here(), 1);  // what ends at once takes no place
  });
}

TEST_F(LimiterSharedTest, SettlesTokensForAllNodes) {
  const Limits limits{.tokens = Quota{10'000, 1h}};
  run([&]() -> Task<void> {
    Ticket ticket;
    const Parties parties5 = {a.account(Owner::key, limits)};
    auto refused = co_await admit(a, parties5, ticket);
    EXPECT_FALSE(refused);
    Result<std::optional<Refused>> reserved = co_await reserve(a, ticket, 9'000, 0);
    EXPECT_TRUE(reserved && !*reserved);
    ticket.settle(500, 0, Clock::now());
    co_await housekeeping(a);
    Ticket other;
    const Parties parties6 = {b.account(Owner::key, limits)};
    refused = co_await admit(b, parties6, other);
    reserved = co_await reserve(b, other, 9'600, 0);
    EXPECT_TRUE(reserved && *reserved);
    EXPECT_EQ((**reserved).what, What::tokens);
    reserved = co_await reserve(b, other, 9'500, 0);
    EXPECT_TRUE(reserved && !*reserved);
    EXPECT_EQ(other.tokens.limit, 10'000u);
  });
}

TEST_F(LimiterSharedTest, TakesWhatWasSpentFromTheLedgerOnceAndCountsOnForAllNodes) {
  const Limits limits{.spend_day = 1'000};
  ledger = 300;
  run([&]() -> Task<void> {
    Ticket ticket;
    const Parties parties7 = {a.account(Owner::key, limits)};
    auto refused = co_await admit(a, parties7, ticket);
    Result<std::optional<Refused>> reserved = co_await reserve(a, ticket, 0, 500);
    EXPECT_TRUE(reserved && !*reserved);
    EXPECT_EQ(asked_ledger, 1);
    Ticket other;
    const Parties parties8 = {b.account(Owner::key, limits)};
    refused = co_await admit(b, parties8, other);
    reserved = co_await reserve(b, other, 0, 201);
    EXPECT_TRUE(reserved && *reserved);
    EXPECT_EQ((**reserved).what, What::spend_day);
    EXPECT_EQ((**reserved).left, 200);
    EXPECT_EQ((**reserved).retry_after, 1h);
    EXPECT_EQ(asked_ledger, 1);
    ticket.settle(0, 100, Clock::now());
    co_await housekeeping(a);
    reserved = co_await reserve(b, other, 0, 600);
    EXPECT_TRUE(reserved && !*reserved);
    // What is let go without having been settled goes back whole.
    other.release();
    co_await housekeeping(b);
    Ticket third;
    const Parties parties9 = {a.account(Owner::key, limits)};
    refused = co_await admit(a, parties9, third);
    reserved = co_await reserve(a, third, 0, 600);
    EXPECT_TRUE(reserved && !*reserved);
  });
}

TEST_F(LimiterSharedTest, MoneyOfAKeyGoesBackWhereItsTenantRefuses) {
  run([&]() -> Task<void> {
    const Parties parties = {a.account(Owner::key, {.tokens = Quota{100, 1h}, .spend_day = 1'000}),
                             a.account(Owner::tenant, {.spend_month = 400})};
    Ticket ticket;
    const auto refused = co_await admit(a, parties, ticket);
    EXPECT_FALSE(refused);
    Result<std::optional<Refused>> reserved = co_await reserve(a, ticket, 60, 500);
    EXPECT_TRUE(reserved && *reserved);
    EXPECT_EQ((**reserved).what, What::spend_month);
    EXPECT_EQ((**reserved).owner, Owner::tenant);
    co_await housekeeping(a);
    const std::string key = spend_key(Period::day, *parties[0], kWall);
    EXPECT_EQ(server.ask({"GET", key}).text, "0");
    reserved = co_await reserve(a, ticket, 60, 400);
    EXPECT_TRUE(reserved && !*reserved);
  });
}

TEST_F(LimiterSharedTest, WithoutRedisRatesGoOnAndMoneyDoesNot) {
  const Limits limits{.requests = Quota{10, 1h}, .spend_day = 1'000};
  server.kill();
  run([&]() -> Task<void> {
    const bool away = co_await until([&] { return !client->available(); });
    EXPECT_TRUE(away);
    const AccountPtr key = a.account(Owner::key, limits);
    for (int i = 0; i < 5; ++i) {
      Ticket ticket;
      const Parties parties10 = {key};
      const auto refused = co_await admit(a, parties10, ticket);
      EXPECT_FALSE(refused);
    }
    Ticket ticket;
    const Parties parties11 = {key};
    auto refused = co_await admit(a, parties11, ticket);
    EXPECT_TRUE(refused);  // its half of ten
    const AccountPtr budget = a.account(Owner::key, {.spend_day = 1'000}, "other");
    const Parties parties12 = {budget};
    refused = co_await admit(a, parties12, ticket);
    EXPECT_FALSE(refused);
    Result<std::optional<Refused>> reserved = co_await reserve(a, ticket, 0, 1);
    EXPECT_FALSE(reserved.ok());
  });
}

TEST_F(LimiterSharedTest, ALedgerThatCannotBeAskedIsAnError) {
  ledger.reset();
  run([&]() -> Task<void> {
    Ticket ticket;
    const Parties parties13 = {a.account(Owner::key, {.spend_day = 1'000})};
    const auto refused = co_await admit(a, parties13, ticket);
    EXPECT_FALSE(refused);
    Result<std::optional<Refused>> reserved = co_await reserve(a, ticket, 0, 1);
    EXPECT_FALSE(reserved.ok());
    ledger = 0;
    reserved = co_await reserve(a, ticket, 0, 1);
    EXPECT_TRUE(reserved && !*reserved);
  });
}

TEST_F(LimiterSharedTest, NodesCountEachOther) {
  a.shared->set_nodes(7);
  run([&]() -> Task<void> {
    const bool ready = co_await until([&] { return client->connections() == 2; });
    EXPECT_TRUE(ready);
    co_await housekeeping(b);
    EXPECT_EQ(b.shared->nodes(), 1u);
    co_await housekeeping(a);
    EXPECT_EQ(a.shared->nodes(), 2u);
  });
}

}  // namespace
}  // namespace penstock::limit
