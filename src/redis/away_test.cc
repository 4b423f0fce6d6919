// What happens when Redis does not: killed, stopped, loading, full, a replica.
#include <gtest/gtest.h>

#include "redis/client.h"
#include "redis/client_testing.h"
#include "redis/node.h"

namespace penstock::redis {
namespace {

class AwayTest : public ClientTest {
 protected:
  static Options quick(const std::string& url) {
    Options options = options_for(url);
    options.timeout = 100ms;
    return options;
  }
};

TEST_F(AwayTest, AServerThatIsKilledAndReturnsIsUsedAgain) {
  RedisServer server;
  const auto client = client_for(quick(server.url()));
  run([&]() -> Task<void> {
    bool good = co_await until_answered(*client, "PING", "PONG");
    EXPECT_TRUE(good);
    server.kill();
    const bool away = co_await until([&] { return !client->available(); });
    EXPECT_TRUE(away);
    // Nobody waits for it now.
    const Time begun = Clock::now();
    const std::string answer = co_await ask(*client, "PING");
    EXPECT_EQ(answer.find("error: Redis is away: "), 0u) << answer;
    EXPECT_LT(Clock::now() - begun, 50ms);
    EXPECT_EQ(client->connections(), 0u);
    server.start();
    good = co_await until_answered(*client, "PING", "PONG");
    EXPECT_TRUE(good);
    EXPECT_EQ(client->trouble(), "");
  });
  EXPECT_GE(errors("connect"), 5);
  EXPECT_GE(errors("away"), 1);
}

TEST_F(AwayTest, AServerThatIsNotThereAtFirstIsUsedWhenItComes) {
  RedisServer server;
  server.kill();
  const auto client = client_for(quick(server.url()));
  run([&]() -> Task<void> {
    const std::string none = co_await ask(*client, "PING");
    EXPECT_EQ(none.find("error: "), 0u);
    server.start();
    const bool good = co_await until_answered(*client, "PING", "PONG");
    EXPECT_TRUE(good);
  });
}

TEST_F(AwayTest, AServerThatHangsCostsOneTimeoutAndItsConnectionIsClosed) {
  RedisServer server;
  Options options = quick(server.url());
  options.connections = 1;
  options.connect_timeout = 200ms;
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    bool good = co_await until_answered(*client, "SET a 1", "OK");
    EXPECT_TRUE(good);
    server.stop();
    const Time begun = Clock::now();
    const std::string late = co_await ask(*client, "GET a");
    EXPECT_EQ(late, "error: Redis did not answer in time");
    EXPECT_GE(Clock::now() - begun, 100ms);
    EXPECT_LT(Clock::now() - begun, 1s);
    EXPECT_EQ(client->connections(), 0u);
    EXPECT_EQ(errors("timeout"), 1);
    const bool away = co_await until([&] { return !client->available(); });
    EXPECT_TRUE(away);
    server.go_on();
    good = co_await until_answered(*client, "GET a", "1");
    EXPECT_TRUE(good);
  });
}

// Each asks for its own key and leaves early or late: whatever it gets is its own, or nothing.
TEST_F(AwayTest, LateAnswersAreNeverAnothers) {
  RedisServer server;
  Options options = quick(server.url());
  options.connect_timeout = 200ms;
  const auto client = client_for(options);
  int under_way = 0;
  int own = 0;
  int none = 0;
  const auto one = [&](int i) -> Task<void> {
    const std::string key = "k" + std::to_string(i);
    const std::string got = co_await ask(*client, "ECHO " + key, i % 3 == 0 ? 1ms : Duration(10s));
    if (got == key) {
      ++own;
    } else {
      EXPECT_EQ(got.find("error: "), 0u) << got << " for " << key;
      ++none;
    }
    --under_way;
  };
  run([&]() -> Task<void> {
    const bool good = co_await until_answered(*client, "PING", "PONG");
    EXPECT_TRUE(good);
    int i = 0;
    for (int round = 0; round < 6; ++round) {
      for (; i < (round + 1) * 200; ++i) {
        ++under_way;
        loop_.spawn(one(i));
        if (i % 20 == 0) co_await turns(1);
        if (i % 200 != 100) continue;
        const bool some = co_await until([&] { return own > round * 10; });
        EXPECT_TRUE(some);
        server.stop();
      }
      const bool ended = co_await until([&] { return under_way == 0; });
      EXPECT_TRUE(ended);
      server.go_on();
      const bool back = co_await until_answered(*client, "PING", "PONG");
      EXPECT_TRUE(back);
    }
  });
  EXPECT_GT(own, 0);
  EXPECT_GT(none, 0);
}

TEST_F(AwayTest, WhoLeavesDoesNotEndTheConnectionOfTheOthers) {
  RedisServer server;
  Options options = options_for(server.url());
  options.connections = 1;
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    const bool good = co_await until_answered(*client, "SET a own", "OK");
    EXPECT_TRUE(good);
    EXPECT_EQ(server.ask({"CLIENT", "PAUSE", "300", "ALL"}).text, "OK");
    const std::string left = co_await ask(*client, "GET b", 20ms);
    EXPECT_EQ(left.find("error: Redis"), 0u) << left;
    const std::string stayed = co_await ask(*client, "GET a");
    EXPECT_EQ(stayed, "own");
    EXPECT_EQ(errors("timeout") + errors("broken"), 0);
  });
}

TEST_F(AwayTest, KilledConnectionsComeBack) {
  RedisServer server;
  const auto client = client_for(options_for(server.url()));
  run([&]() -> Task<void> {
    bool both = co_await until([&] { return client->connections() == 2; });
    EXPECT_TRUE(both);
    EXPECT_EQ(server.ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}).integer, 2);
    both = co_await until([&] { return client->connections() == 0; });
    EXPECT_TRUE(both);
    both = co_await until([&] { return client->connections() == 2; });
    EXPECT_TRUE(both);
    const std::string pong = co_await ask(*client, "PING");
    EXPECT_EQ(pong, "PONG");
  });
}

TEST_F(AwayTest, AFullServerRefusesWritesAndIsNotAway) {
  RedisServer server({"--maxmemory-policy", "noeviction"});
  const auto client = client_for(options_for(server.url()));
  run([&]() -> Task<void> {
    const bool good = co_await until_answered(*client, "SET a 1", "OK");
    EXPECT_TRUE(good);
    EXPECT_EQ(server.ask({"CONFIG", "SET", "maxmemory", "1"}).text, "OK");
    for (int i = 0; i < 5; ++i) {
      const std::string full = co_await ask(*client, "SET a 2");
      EXPECT_EQ(full.find("error: Redis: OOM"), 0u) << full;
    }
    EXPECT_TRUE(client->available());
    const std::string read = co_await ask(*client, "GET a");
    EXPECT_EQ(read, "1");
    EXPECT_EQ(errors("unavailable"), 5);
    EXPECT_EQ(server.ask({"CONFIG", "SET", "maxmemory", "0"}).text, "OK");
    const bool back = co_await until_answered(*client, "SET a 3", "OK");
    EXPECT_TRUE(back);
  });
}

TEST_F(AwayTest, AServerThatBecomesAReplicaIsAwayUntilItIsNoneAnyMore) {
  RedisServer primary;
  RedisServer server;
  const auto client = client_for(options_for(server.url()));
  run([&]() -> Task<void> {
    bool good = co_await until_answered(*client, "SET a 1", "OK");
    EXPECT_TRUE(good);
    EXPECT_EQ(server.ask({"REPLICAOF", "127.0.0.1", std::to_string(primary.port())}).text, "OK");
    const std::string refused = co_await ask(*client, "SET a 1");
    EXPECT_EQ(refused.find("error: Redis: READONLY"), 0u) << refused;
    EXPECT_EQ(errors("unavailable"), 1);
    good = co_await until([&] {
      return client->trouble() ==
             "Redis at 127.0.0.1:" + std::to_string(server.port()) + " is a replica";
    });
    EXPECT_TRUE(good);
    EXPECT_EQ(client->connections(), 0u);
    EXPECT_EQ(server.ask({"REPLICAOF", "NO", "ONE"}).text, "OK");
    good = co_await until_answered(*client, "SET a 1", "OK");
    EXPECT_TRUE(good);
  });
}

// As behind a name that is moved to another server: what it was is not written to.
TEST_F(AwayTest, ANameIsLookedUpAgainWhenItsServerBecameAReplica) {
  RedisServer first;
  RedisServer second;
  std::uint16_t there = first.port();
  int looked = 0;
  const auto lookup = [&](Loop& loop, const std::string&, std::uint16_t,
                          const net::Addresses::Found& found) {
    ++looked;
    const net::Endpoints endpoints = {{asio::ip::make_address("127.0.0.1"), there}};
    asio::post(loop.executor(), [found, endpoints] { found({}, endpoints); });
  };
  Url url;
  url.host = "redis.example";
  const auto common = std::make_shared<Node::Common>(
      Node::Common{options_for(""), Metrics(registry_.shard(0)), log_});
  const auto node = std::make_shared<Node>(
      loop_, std::make_shared<OneServer>(loop_, Server{url, nullptr, "test"}, lookup), common,
      nullptr);
  node->start();
  const auto set = [&]() -> Task<std::string> {
    Deadline deadline(loop_, Clock::now() + 10s);
    const std::array<std::string_view, 3> words = {"SET", "a", "1"};
    Result<Value> value = co_await Node::ask(node, words, false, deadline);
    co_return shown(value);
  };
  run([&]() -> Task<void> {
    std::string answer = co_await set();
    EXPECT_EQ(answer, "OK");
    there = second.port();
    EXPECT_EQ(first.ask({"REPLICAOF", "127.0.0.1", std::to_string(second.port())}).text, "OK");
    answer = co_await set();
    EXPECT_EQ(answer.find("error: Redis: READONLY"), 0u) << answer;
    answer = co_await set();
    EXPECT_EQ(answer, "OK");
    EXPECT_EQ(looked, 2);
    EXPECT_EQ(second.ask({"GET", "a"}).text, "1");
    node->stop();
    co_await turns();
  });
}

TEST_F(AwayTest, IsToldByTheMetrics) {
  RedisServer server;
  Options options = quick(server.url());
  options.standing = Standing::make(registry_);
  const auto client = client_for(options);
  const auto shows = [&](const std::string& line) {
    std::string text;
    registry_.render(text, observe::Format::text);
    return text.find(line) != std::string::npos;
  };
  run([&]() -> Task<void> {
    const bool good = co_await until([&] { return client->connections() == 2; });
    EXPECT_TRUE(good);
    EXPECT_TRUE(shows("penstock_redis_up 1\n"));
    EXPECT_TRUE(shows("penstock_redis_connections 2\n"));
    const std::string pong = co_await ask(*client, "PING");
    EXPECT_EQ(pong, "PONG");
    EXPECT_TRUE(shows("penstock_redis_command_duration_seconds_count{command=\"PING\"} 1\n"));
    server.kill();
    const bool away = co_await until([&] { return client->connections() == 0; });
    EXPECT_TRUE(away);
    EXPECT_TRUE(shows("penstock_redis_up 0\n"));
    EXPECT_TRUE(shows("penstock_redis_connections 0\n"));
  });
}

// ---- channels ----------------------------------------------------------------------------------

TEST_F(AwayTest, ASubscriptionComesBackAndSaysThatItWasAway) {
  RedisServer server;
  const auto client = client_for(quick(server.url()));
  std::vector<std::string> heard;
  int subscribed = 0;
  client->subscribe(
      "news", [&](std::string_view text) { heard.emplace_back(text); }, [&] { ++subscribed; });
  client->subscribe("other",
                    [&](std::string_view text) { heard.push_back("o:" + std::string(text)); });
  run([&]() -> Task<void> {
    bool good = co_await until([&] { return subscribed == 1; });
    EXPECT_TRUE(good);
    EXPECT_EQ(server.ask({"PUBLISH", "news", "one"}).integer, 1);
    good = co_await until([&] { return heard.size() == 1; });
    EXPECT_TRUE(good);
    server.kill();
    server.start();
    good = co_await until([&] { return subscribed == 2; });
    EXPECT_TRUE(good);
    EXPECT_EQ(server.ask({"PUBLISH", "news", "two"}).integer, 1);
    good = co_await until([&] { return heard.size() == 2; });
    EXPECT_TRUE(good);
    EXPECT_EQ(server.ask({"CLIENT", "KILL", "TYPE", "pubsub"}).integer, 1);
    good = co_await until([&] { return subscribed == 3; });
    EXPECT_TRUE(good);
    good = co_await until([&] { return server.ask({"PUBLISH", "other", "three"}).integer == 1; });
    EXPECT_TRUE(good);
    good = co_await until([&] { return heard.size() == 3; });
    EXPECT_TRUE(good);
  });
  EXPECT_EQ(heard, (std::vector<std::string>{"one", "two", "o:three"}));
}

}  // namespace
}  // namespace penstock::redis
