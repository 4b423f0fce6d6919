// Real sentinels: whoever is the master is found, and nobody else is written to.
#include "redis/sentinel.h"

#include <gtest/gtest.h>

#include "redis/client.h"
#include "redis/client_testing.h"

namespace penstock::redis {
namespace {

// A master, a replica, and three sentinels that find each other by the master.
class SentinelTest : public ClientTest {
 protected:
  SentinelTest() {
    // A copy is made at once, not 5 s later for whoever else may want one.
    RedisServer::Arguments arguments = {"--repl-diskless-sync-delay", "0"};
    servers_.push_back(std::make_unique<RedisServer>(arguments));
    arguments.insert(arguments.end(),
                     {"--replicaof", "127.0.0.1", std::to_string(servers_[0]->port())});
    servers_.push_back(std::make_unique<RedisServer>(arguments));
    // They ask a master for its replicas once in ten seconds.
    for (int tries = 0; tries < 10'000 && !copied(); ++tries) ::poll(nullptr, 0, 1);
    const std::string config = "sentinel monitor mymaster 127.0.0.1 " +
                               std::to_string(servers_[0]->port()) +
                               " 2\n"
                               "sentinel down-after-milliseconds mymaster 500\n"
                               "sentinel failover-timeout mymaster 3000\n";
    for (int i = 0; i < 3; ++i) {
      sentinels_.push_back(std::make_unique<RedisServer>(RedisServer::Config{config},
                                                         RedisServer::Arguments{"--sentinel"}));
    }
  }
  Options options() {
    Options options = options_for("");
    options.urls.clear();
    for (const auto& sentinel : sentinels_) options.urls.push_back(sentinel->url());
    options.sentinel = "mymaster";
    return options;
  }
  // Each knows the others and the replica: there can be a failover.
  Task<bool> settled() {
    const bool seen = co_await until([&] {
      for (const auto& sentinel : sentinels_) {
        const Value known = sentinel->ask({"SENTINEL", "MASTER", "mymaster"});
        if (entry(known, "num-other-sentinels") != "2" || entry(known, "num-slaves") != "1") {
          return false;
        }
      }
      return true;
    });
    co_return seen;
  }
  bool copied() const {
    return servers_[1]->ask({"INFO", "replication"}).text.find("master_link_status:up") !=
           std::string::npos;
  }
  static std::string entry(const Value& map, std::string_view name) {
    for (std::size_t i = 0; i + 1 < map.items.size(); i += 2) {
      if (map.items[i].text == name) return map.items[i + 1].text;
    }
    return {};
  }
  static std::string role(const RedisServer& server) {
    const Value role = server.ask({"ROLE"});
    return role.items.empty() ? "" : role.items[0].text;
  }

  std::vector<std::unique_ptr<RedisServer>> servers_;
  std::vector<std::unique_ptr<RedisServer>> sentinels_;
};

TEST_F(SentinelTest, AKilledMastersReplicaIsUsedAndTheOldOneIsNotWrittenTo) {
  const auto client = client_for(options());
  int subscribed = 0;
  std::vector<std::string> heard;
  client->subscribe(
      "news", [&](std::string_view text) { heard.emplace_back(text); }, [&] { ++subscribed; });
  run([&]() -> Task<void> {
    bool good = co_await until_answered(*client, "SET a before", "OK");
    EXPECT_TRUE(good);
    EXPECT_EQ(servers_[0]->ask({"GET", "a"}).text, "before");
    good = co_await settled();
    EXPECT_TRUE(good);
    const int before = subscribed;
    servers_[0]->kill();
    good = co_await until_answered(*client, "SET a after", "OK");
    EXPECT_TRUE(good);
    EXPECT_EQ(servers_[1]->ask({"GET", "a"}).text, "after");
    good = co_await until([&] { return subscribed > before; });
    EXPECT_TRUE(good);
    EXPECT_EQ(servers_[1]->ask({"PUBLISH", "news", "one"}).integer, 1);
    good = co_await until([&] { return heard.size() == 1; });
    EXPECT_TRUE(good);
    // It comes back as it was, a master, and is told later.
    servers_[0]->start();
    good = co_await until_answered(*client, "SET a again", "OK");
    EXPECT_TRUE(good);
    EXPECT_EQ(servers_[1]->ask({"GET", "a"}).text, "again");
    // Which takes them ten seconds.
    good = co_await until([&] { return role(*servers_[0]) == "slave"; }, 60s);
    EXPECT_TRUE(good);
    good = co_await until_answered(*client, "SET a replica", "OK");
    EXPECT_TRUE(good);
    EXPECT_EQ(servers_[1]->ask({"GET", "a"}).text, "replica");
    EXPECT_EQ(servers_[1]->ask({"CLIENT", "LIST", "TYPE", "pubsub"}).text.find("name=penstock") !=
                  std::string::npos,
              true);
  });
}

TEST_F(SentinelTest, AMasterThatHangsIsNotWaitedForWhenThereIsAnother) {
  Options options = this->options();
  options.timeout = 50ms;
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    bool good = co_await until_answered(*client, "SET a before", "OK");
    EXPECT_TRUE(good);
    good = co_await settled();
    EXPECT_TRUE(good);
    servers_[0]->stop();
    // The breaker opens for what is not answered, which is no fault of connecting.
    while (client->available()) {
      const std::string late = co_await ask(*client, "SET a late");
      EXPECT_EQ(late.find("error: "), 0u);
    }
    good = co_await until_answered(*client, "SET a after", "OK");
    EXPECT_TRUE(good);
    EXPECT_EQ(servers_[1]->ask({"GET", "a"}).text, "after");
  });
  servers_[0]->go_on();
}

TEST_F(SentinelTest, AMasterThatIsChangedOnPurposeIsLeftForTheNewOne) {
  Options options = this->options();
  options.tracking = true;
  options.vouchers = std::make_shared<Vouchers>();
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    bool good = co_await until_answered(*client, "SET a before", "OK");
    EXPECT_TRUE(good);
    good = co_await settled();
    EXPECT_TRUE(good);
    Result<Read> read = co_await read_lines(*client, "GET a", "a");
    EXPECT_TRUE(read.ok() && options.vouchers->good(read->vouch));
    good = co_await until([&] {
      return sentinels_[0]->ask({"SENTINEL", "FAILOVER", "mymaster"}).text == "OK";
    });
    EXPECT_TRUE(good);
    // Long before the old one is told that it is a replica.
    good = co_await until([&] { return !options.vouchers->good(read->vouch); });
    EXPECT_TRUE(good);
    EXPECT_EQ(role(*servers_[0]), "master");
    good = co_await until_answered(*client, "SET a after", "OK");
    EXPECT_TRUE(good);
    EXPECT_EQ(servers_[1]->ask({"GET", "a"}).text, "after");
    EXPECT_EQ(servers_[0]->ask({"GET", "a"}).text, "before");
  });
}

TEST_F(SentinelTest, AMasterThatIsCutOffWithUsIsLeftToo) {
  const auto client = client_for(options());
  run([&]() -> Task<void> {
    bool good = co_await until_answered(*client, "SET a before", "OK");
    EXPECT_TRUE(good);
    good = co_await settled();
    EXPECT_TRUE(good);
    // The sentinels lose it from sight, we do not: it answers as ever.
    EXPECT_EQ(servers_[1]->ask({"REPLICAOF", "NO", "ONE"}).text, "OK");
    for (const auto& sentinel : sentinels_) {
      EXPECT_EQ(sentinel->ask({"SENTINEL", "REMOVE", "mymaster"}).text, "OK");
      EXPECT_EQ(sentinel
                    ->ask({"SENTINEL", "MONITOR", "mymaster", "127.0.0.1",
                           std::to_string(servers_[1]->port()), "2"})
                    .text,
                "OK");
    }
    good = co_await until([&] {
      return servers_[1]->ask({"CLIENT", "LIST"}).text.find("name=penstock") != std::string::npos;
    });
    EXPECT_TRUE(good);
    good = co_await until_answered(*client, "SET a after", "OK");
    EXPECT_TRUE(good);
    EXPECT_EQ(servers_[1]->ask({"GET", "a"}).text, "after");
    EXPECT_EQ(servers_[0]->ask({"GET", "a"}).text, "before");
  });
}

TEST_F(SentinelTest, SentinelsThatAreSilentOrGoneAreGoneRound) {
  sentinels_[0]->kill();
  sentinels_[1]->stop();
  Options options = this->options();
  options.connect_timeout = 1s;
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    bool good = co_await until_answered(*client, "SET a 1", "OK");
    EXPECT_TRUE(good);
    // The one that answered is asked first from now on.
    EXPECT_GE(servers_[0]->ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}).integer, 2);
    const Time killed = Clock::now();
    good = co_await until([&] { return client->connections() == 2; });
    EXPECT_TRUE(good);
    EXPECT_LT(Clock::now() - killed, 900ms);  // less than the silent one would cost
  });
  sentinels_[1]->go_on();
}

TEST_F(SentinelTest, SaysWhatTheSentinelsDoNotKnow) {
  Options options = this->options();
  options.sentinel = "other";
  const auto client = client_for(options);
  options = this->options();
  options.urls = {servers_[0]->url()};  // no sentinel
  const auto wrong = client_for(options);
  run([&]() -> Task<void> {
    const bool good =
        co_await until([&] { return !client->trouble().empty() && !wrong->trouble().empty(); });
    EXPECT_TRUE(good);
  });
  EXPECT_NE(client->trouble().find("it knows no service of the name other"), std::string::npos)
      << client->trouble();
  EXPECT_NE(wrong->trouble().find("ERR unknown command"), std::string::npos) << wrong->trouble();
}

// The URLs' passwords are the sentinels', the options' are the service's.
TEST_F(ClientTest, SentinelsAndTheServiceHavePasswordsOfTheirOwn) {
  RedisServer server({"--requirepass", "data"}, {}, "data");
  const std::string config = "sentinel monitor mymaster 127.0.0.1 " +
                             std::to_string(server.port()) +
                             " 1\nsentinel auth-pass mymaster data\nrequirepass watch\n";
  RedisServer sentinel(RedisServer::Config{config}, {"--sentinel"});
  Options options = options_for(sentinel.url("redis://", ":watch@", "/3"));
  options.sentinel = "mymaster";
  options.password = "data";
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    const bool good = co_await until_answered(*client, "SET a 1", "OK");
    EXPECT_TRUE(good);
  });
  EXPECT_NE(server.ask({"INFO", "keyspace"}).text.find("db3:keys=1"), std::string::npos);
}

}  // namespace
}  // namespace penstock::redis
