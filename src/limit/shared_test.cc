#include "limit/shared.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "redis/client_testing.h"

namespace penstock::limit {
namespace {

using redis::Client;
using redis::RedisServer;

Account account_of(const std::string& tenant, const std::string& name) {
  Account account;
  account.owner = Owner::key;
  account.tenant = tenant;
  account.name = name;
  return account;
}

class SharedTest : public redis::ClientTest {
 protected:
  // A node: what it has in common, its client, its meter of one rate.
  struct Node {
    std::shared_ptr<Shared> shared;
    std::shared_ptr<SharedMeter> meter;
    std::unique_ptr<Client> client;
  };
  Node node(const std::string& name, const RedisServer& server, unsigned nodes = 2) {
    Node made;
    made.shared = Shared::make(name);
    made.shared->set_nodes(nodes);
    made.meter = std::make_shared<SharedMeter>(
        made.shared, limit_key(What::requests, account_of("acme", "key_1")));
    redis::Options options = options_for(server.url());
    options.timeout = patience;
    options.connect_timeout = 500ms;
    made.client = client_for(options);
    return made;
  }
  Task<Decision> take(Node& node, Quota quota, std::uint64_t cost, Duration wait = 10s) {
    Deadline deadline(loop_, Clock::now() + wait);
    Decision decision =
        co_await SharedMeter::take(node.meter, node.client.get(), quota, cost, deadline);
    co_return decision;
  }
  // As many as are admitted one after the other, without waiting for more.
  Task<std::uint64_t> drain(Node& node, Quota quota, std::uint64_t most) {
    std::uint64_t admitted = 0;
    while (admitted < most) {
      Decision decision = co_await take(node, quota, 1);
      if (!decision.admitted) break;
      ++admitted;
    }
    co_return admitted;
  }
  Task<void> connected(Node& node) {
    const bool good = co_await until([&] { return node.client->connections() == 2; });
    EXPECT_TRUE(good);
  }
  // Until what the node holds has gone back.
  Task<void> housekeeping(Node& node, Duration time) {
    Deadline keeping(loop_, Clock::now() + time);
    co_await Shared::keep(node.shared, *node.client, keeping);
  }
  static int evals(const RedisServer& server) {
    const std::string stats = server.ask({"INFO", "commandstats"}).text;
    const std::size_t at = stats.find("cmdstat_evalsha:calls=");
    return at == std::string::npos ? 0 : std::stoi(stats.substr(at + 22));
  }

  Duration patience = 2s;
};

TEST_F(SharedTest, AdmitsABurstOverTwoNodesThenSaysHowLongToWait) {
  RedisServer server;
  Node a = node("a", server);
  Node b = node("b", server);
  const Quota quota{100, 1h};
  run([&]() -> Task<void> {
    const std::uint64_t first = co_await drain(a, quota, 60);
    const std::uint64_t second = co_await drain(b, quota, 100);
    EXPECT_EQ(first, 60u);
    EXPECT_EQ(second, 40u);
    const Decision more = co_await take(a, quota, 1);
    EXPECT_FALSE(more.admitted);
    EXPECT_EQ(more.remaining, 0u);
    EXPECT_GT(more.retry_after, 30s);
    EXPECT_LE(more.retry_after, 36s);
    EXPECT_GT(more.reset, 59min);
    const Decision never = co_await take(a, quota, 101);
    EXPECT_EQ(never.retry_after, Duration::max());
  });
}

TEST_F(SharedTest, AnswersFromItsLeaseWithoutAskingRedis) {
  RedisServer server;
  Node a = node("a", server);
  const Quota quota{1000, 1s};
  run([&]() -> Task<void> {
    Decision decision = co_await take(a, quota, 1);
    EXPECT_TRUE(decision.admitted);
    const int asked = evals(server);
    // 100 ms of half the rate are 50.
    for (int i = 0; i < 49; ++i) {
      const std::optional<Decision> here = a.meter->try_take(quota, Clock::now(), 1);
      EXPECT_TRUE(here && here->admitted) << i;
    }
    EXPECT_FALSE(a.meter->try_take(quota, Clock::now(), 1));
    EXPECT_EQ(evals(server), asked);
  });
}

TEST_F(SharedTest, ARefusalIsRememberedAndLoadsRedisNoMore) {
  RedisServer server;
  Node a = node("a", server, 1);
  const Quota quota{10, 1h};
  run([&]() -> Task<void> {
    const std::uint64_t admitted = co_await drain(a, quota, 100);
    EXPECT_EQ(admitted, 10u);
    const int asked = evals(server);
    for (int i = 0; i < 1000; ++i) {
      const std::optional<Decision> here = a.meter->try_take(quota, Clock::now(), 1);
      EXPECT_TRUE(here && !here->admitted);
    }
    EXPECT_EQ(evals(server), asked);
  });
}

TEST_F(SharedTest, ASmallerRequestMayPassWhereALargeOneIsRefused) {
  RedisServer server;
  Node a = node("a", server, 1);
  const Quota quota{100, 1h};
  run([&]() -> Task<void> {
    Decision decision = co_await take(a, quota, 70);
    EXPECT_TRUE(decision.admitted);
    EXPECT_EQ(decision.remaining, 30u);
    decision = co_await take(a, quota, 50);
    EXPECT_FALSE(decision.admitted);
    EXPECT_EQ(decision.remaining, 30u);
    EXPECT_GT(decision.retry_after, 11min);  // 20 of 100 an hour
    EXPECT_LE(decision.retry_after, 12min);
    decision = co_await take(a, quota, 30);
    EXPECT_TRUE(decision.admitted);
  });
}

TEST_F(SharedTest, OneCallServesAllWhoWait) {
  RedisServer server;
  Node a = node("a", server, 1);
  const Quota quota{100, 1h};  // a lease is what is needed
  int admitted = 0;
  int ended = 0;
  const auto one = [&]() -> Task<void> {
    Decision decision = co_await take(a, quota, 1);
    admitted += decision.admitted ? 1 : 0;
    ++ended;
  };
  run([&]() -> Task<void> {
    co_await connected(a);
    co_await one();
    const int before = evals(server);
    for (int i = 0; i < 50; ++i) loop_.spawn(one());
    const bool all = co_await until([&] { return ended == 51; });
    EXPECT_TRUE(all);
    EXPECT_EQ(admitted, 51);
    EXPECT_LE(evals(server) - before, 3);  // the first alone, then the others together
  });
}

TEST_F(SharedTest, WhatIsNotUsedGoesBackForTheOtherNode) {
  RedisServer server;
  Node a = node("a", server);
  Node b = node("b", server);
  const Quota quota{10'000, 1h};
  run([&]() -> Task<void> {
    Decision decision = co_await take(a, quota, 9'000);
    EXPECT_TRUE(decision.admitted);
    a.meter->give_back(quota, Clock::now(), 8'000);
    decision = co_await take(b, quota, 5'000);
    EXPECT_FALSE(decision.admitted);
    co_await housekeeping(a, 300ms);
    // Redis knows, and b would ask it after a while; another node does at once.
    Node c = node("c", server);
    decision = co_await take(c, quota, 9'000);
    EXPECT_TRUE(decision.admitted);
    EXPECT_EQ(decision.remaining, 0u);
  });
}

TEST_F(SharedTest, WhatWasUsedBeyondIsOwedByAllNodes) {
  RedisServer server;
  Node a = node("a", server);
  Node b = node("b", server);
  const Quota quota{1'000, 1h};
  run([&]() -> Task<void> {
    Decision decision = co_await take(a, quota, 100);
    EXPECT_TRUE(decision.admitted);
    a.meter->take_regardless(quota, Clock::now(), 800);
    co_await housekeeping(a, 200ms);
    decision = co_await take(b, quota, 101);
    EXPECT_FALSE(decision.admitted);
    EXPECT_EQ(decision.remaining, 100u);
    decision = co_await take(b, quota, 100);
    EXPECT_TRUE(decision.admitted);
  });
}

TEST_F(SharedTest, AScriptThatIsFlushedChangesNoDecision) {
  RedisServer server;
  Node a = node("a", server, 1);
  const Quota quota{10, 1h};
  run([&]() -> Task<void> {
    std::uint64_t admitted = co_await drain(a, quota, 5);
    EXPECT_EQ(server.ask({"SCRIPT", "FLUSH"}).text, "OK");
    const std::uint64_t more = co_await drain(a, quota, 100);
    EXPECT_EQ(admitted + more, 10u);
  });
}

// ---- without Redis -----------------------------------------------------------------------------

TEST_F(SharedTest, WithoutRedisEachNodeEnforcesItsShareOfWhatWasLeft) {
  RedisServer server;
  patience = 100ms;
  Node a = node("a", server, 4);
  const Quota quota{1'000, 1h};
  run([&]() -> Task<void> {
    co_await connected(a);
    Decision decision = co_await take(a, quota, 600);
    EXPECT_TRUE(decision.admitted);
    server.kill();
    // 400 of all were left: a quarter of them.
    std::uint64_t admitted = co_await drain(a, quota, 1000);
    EXPECT_GE(admitted, 99u);
    EXPECT_LE(admitted, 101u);
    server.start();
    const bool back =
        co_await until([&] { return a.client->available() && a.client->connections() == 2; });
    EXPECT_TRUE(back);
    // Redis has lost the time stamp, and is told what this one of four nodes knows to be owed.
    Deadline patient(loop_, Clock::now() + 1s);
    co_await sleep_until(Clock::now() + Shared::kAway, patient);
    admitted = co_await drain(a, quota, 1000);
    EXPECT_GE(admitted, 749u);
    EXPECT_LE(admitted, 751u);
  });
}

TEST_F(SharedTest, AHangingRedisCostsItsTimeoutOnceAndThenNothing) {
  RedisServer server;
  patience = 50ms;
  Node a = node("a", server, 2);
  const Quota quota{1'000, 1s};
  run([&]() -> Task<void> {
    co_await connected(a);
    server.stop();
    const Time begun = Clock::now();
    Decision decision = co_await take(a, quota, 400);
    EXPECT_TRUE(decision.admitted);
    EXPECT_LT(Clock::now() - begun, 500ms);
    const std::optional<Decision> here = a.meter->try_take(quota, Clock::now(), 1);
    EXPECT_TRUE(here.has_value());
    server.go_on();
  });
}

TEST_F(SharedTest, WhatWasAdmittedWithoutRedisIsToldToIt) {
  RedisServer server;
  patience = 100ms;
  Node a = node("a", server, 2);
  Node b = node("b", server, 2);
  const Quota quota{1'000, 1h};
  run([&]() -> Task<void> {
    co_await connected(a);
    Decision decision = co_await take(a, quota, 100);
    EXPECT_TRUE(decision.admitted);
    server.stop();
    decision = co_await take(a, quota, 200);  // by its own share
    EXPECT_TRUE(decision.admitted);
    server.go_on();
    const bool back =
        co_await until([&] { return a.client->available() && a.client->connections() == 2; });
    EXPECT_TRUE(back);
    Deadline patient(loop_, Clock::now() + 1s);
    co_await sleep_until(Clock::now() + Shared::kAway, patient);
    decision = co_await take(a, quota, 100);
    EXPECT_TRUE(decision.admitted);
    decision = co_await take(b, quota, 601);
    // The lease that was asked for while Redis hung may have been granted as well.
    EXPECT_FALSE(decision.admitted);
    EXPECT_LE(decision.remaining, 600u);
    EXPECT_GE(decision.remaining, 400u);
  });
}

// ---- exactness ---------------------------------------------------------------------------------

// A node on a thread of its own that offers `rate` requests a second for some time.
struct Offered {
  std::uint64_t offered = 0;
  std::uint64_t admitted = 0;
};

Offered offer(const std::string& url, const std::string& name, const Quota& quota, int rate,
              Duration time, std::shared_future<void> begin) {
  std::FILE* const null = std::fopen("/dev/null", "w");
  Offered sum;
  {
    observe::Log log({observe::Level::error, observe::LogFormat::json, null});
    Loop loop;
    redis::Options options;
    options.urls = {url};
    options.timeout = 1s;
    Result<std::unique_ptr<Client>> client = Client::make(loop, options, redis::Metrics(), log);
    const auto shared = Shared::make(name);
    shared->set_nodes(2);
    const auto meter = std::make_shared<SharedMeter>(
        shared, limit_key(What::requests, account_of("acme", "key_1")));
    std::uint64_t under_way = 0;
    const auto one = [&]() -> Task<void> {
      Deadline deadline(loop, Clock::now() + 5s);
      Decision decision = co_await SharedMeter::take(meter, client->get(), quota, 1, deadline);
      sum.admitted += decision.admitted ? 1 : 0;
      --under_way;
    };
    Deadline keeping(loop, Time::max());
    const auto all = [&]() -> Task<void> {
      Deadline deadline(loop, Time::max());
      while ((*client)->connections() == 0) {
        co_await sleep_until(Clock::now() + 1ms, deadline);
      }
      begin.wait();
      const Time begun = Clock::now();
      for (Time now = begun; now < begun + time; now = Clock::now()) {
        const auto due =
            static_cast<std::uint64_t>(std::chrono::duration<double>(now - begun).count() * rate);
        for (; sum.offered < due; ++sum.offered) {
          ++under_way;
          loop.spawn(one());
        }
        co_await sleep_until(now + 1ms, deadline);
      }
      while (under_way > 0) co_await sleep_until(Clock::now() + 1ms, deadline);
      keeping.call_off(Why::draining);
      co_await loop.turn();
      co_await loop.turn();
      loop.stop();
    };
    loop.spawn(Shared::keep(shared, **client, keeping));
    loop.spawn(all());
    loop.run();
    client = Error{};
  }
  std::fclose(null);
  return sum;
}

TEST_F(SharedTest, TwoNodesAdmitTheBurstAndThenTheRateWithinOnePercent) {
  RedisServer server;
  const Quota quota{1'000, 1s};
  constexpr Duration kTime = 10s;
  std::promise<void> begin;
  const std::shared_future<void> begun = begin.get_future().share();
  const auto start = [&](const std::string& name) {
    return std::async(std::launch::async,
                      [&, name] { return offer(server.url(), name, quota, 5'000, kTime, begun); });
  };
  auto a = start("a");
  auto b = start("b");
  begin.set_value();
  const Offered first = a.get();
  const Offered second = b.get();
  const std::uint64_t offered = first.offered + second.offered;
  const std::uint64_t admitted = first.admitted + second.admitted;
  RecordProperty("offered", static_cast<int>(offered));
  RecordProperty("admitted", static_cast<int>(admitted));
  std::printf("%llu offered, %llu + %llu admitted, %d calls of the script\n",
              static_cast<unsigned long long>(offered),
              static_cast<unsigned long long>(first.admitted),
              static_cast<unsigned long long>(second.admitted), evals(server));
  EXPECT_GE(offered, 99'000u);
  EXPECT_GE(admitted, 10'890u);
  EXPECT_LE(admitted, 11'110u);
  EXPECT_LE(evals(server), 6'000);  // of 100,000 who asked
}

}  // namespace
}  // namespace penstock::limit
