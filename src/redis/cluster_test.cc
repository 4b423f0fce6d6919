// A client of real clusters: who is asked, what a move or a loss costs.
#include "redis/cluster.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "redis/client.h"
#include "redis/client_testing.h"
#include "redis/cluster_testing.h"
#include "redis/fake_server_testing.h"

namespace penstock::redis {
namespace {

class ClusterTest : public ClientTest {
 protected:
  static Options options_of(const RedisCluster& cluster) {
    Options options = options_for("");
    options.urls = cluster.urls();
    return options;
  }
  // A key of the node's, by the slots that it has at first.
  static std::string key_of_node(int node, int masters, const std::string& prefix = "k") {
    for (int i = 0;; ++i) {
      const std::string key = prefix + std::to_string(i);
      if (slot_of(key) * masters / kSlots == node) return key;
    }
  }
  static bool failed(const std::string& answer) { return answer.find("error: ") == 0; }
};

TEST_F(ClusterTest, EachKeyGoesToTheNodeThatHasItsSlot) {
  RedisCluster cluster(3);
  const auto client = client_for(options_of(cluster));
  int done = 0;
  const auto one = [&](int i) -> Task<void> {
    const std::string key = "k" + std::to_string(i);
    const std::string set = co_await ask(*client, "SET " + key + " " + key);
    const std::string got = co_await ask(*client, "GET " + key);
    EXPECT_EQ(set + " " + got, "OK " + key);
    ++done;
  };
  run([&]() -> Task<void> {
    const std::string ready = co_await ask(*client, "PING");
    EXPECT_EQ(ready, "PONG");
    EXPECT_LE(client->connections(), 2u);  // the others are not needed yet
    for (int i = 0; i < 300; ++i) loop_.spawn(one(i));
    const bool all = co_await until([&] { return done == 300; });
    EXPECT_TRUE(all);
    const bool connected = co_await until([&] { return client->connections() == 6; });
    EXPECT_TRUE(connected);
  });
  std::int64_t sum = 0;
  for (int i = 0; i < 3; ++i) {
    const std::int64_t keys = cluster.node(i).ask({"DBSIZE"}).integer;
    EXPECT_GT(keys, 50);
    sum += keys;
  }
  EXPECT_EQ(sum, 300);
  EXPECT_EQ(errors("refused"), 0);  // nobody was sent away
  EXPECT_TRUE(client->available());
  EXPECT_EQ(client->trouble(), "");
}

TEST_F(ClusterTest, OneServerThatIsOfAClusterIsItsSeed) {
  RedisCluster cluster(3);
  Options options = options_for(cluster.node(1).url());
  options.standing = Standing::make(registry_);
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    for (int node = 0; node < 3; ++node) {
      const std::string set = co_await ask(*client, "SET " + key_of_node(node, 3) + " 1");
      EXPECT_EQ(set, "OK");
    }
    const bool all = co_await until([&] { return client->connections() == 6; });
    EXPECT_TRUE(all);
    EXPECT_TRUE(options.standing->up());
  });
  for (int node = 0; node < 3; ++node) EXPECT_EQ(cluster.node(node).ask({"DBSIZE"}).integer, 1);
}

TEST_F(ClusterTest, ASeedThatIsNotThereIsGoneRound) {
  RedisCluster cluster(3);
  RedisServer gone;
  Options options = options_of(cluster);
  options.urls = {gone.url(), cluster.node(2).url()};
  gone.kill();
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    const std::string set = co_await ask(*client, "SET " + key_of_node(0, 3) + " 1");
    EXPECT_EQ(set, "OK");
  });
}

TEST_F(ClusterTest, ServersThatAreNoClusterAreToldApart) {
  RedisServer one;
  RedisServer two;
  Options options = options_for("");
  options.urls = {one.url(), two.url()};
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    const std::string refused = co_await ask(*client, "SET a 1");
    EXPECT_NE(refused.find("cluster support disabled"), std::string::npos) << refused;
    EXPECT_FALSE(client->available());
    EXPECT_NE(client->trouble().find("cluster support disabled"), std::string::npos);
  });
  options.urls = {"redis://a/1", "redis://b"};
  EXPECT_FALSE(Client::make(loop_, options, Metrics(), log_).ok());
}

// ---- a slot on its way -------------------------------------------------------------------------

TEST_F(ClusterTest, ASlotIsMovedUnderLoadWithoutAnError) {
  RedisCluster cluster(3);
  const auto client = client_for(options_of(cluster));
  const std::uint16_t slot = slot_of("{a}");
  const int from = cluster.owner(slot_of("a"));
  const int to = (from + 1) % 3;
  ASSERT_EQ(slot, slot_of("a"));
  constexpr int kKeys = 200;
  std::vector<int> counts(kKeys, 0);
  bool over = false;
  int under_way = 0;
  int wrong = 0;
  int done = 0;
  const Script script("return redis.call('INCR', KEYS[1])");
  // By turns: a command, a script, and what a cache sends.
  const auto load = [&](int i) -> Task<void> {
    const std::string key = (i % 4 == 3 ? "other" : "{a}") + std::to_string(i);
    const std::array<std::string_view, 1> keys = {key};
    while (!over) {
      const std::string count = co_await ask(*client, "INCR " + key);
      if (count != std::to_string(++counts[static_cast<std::size_t>(i)])) ++wrong;
      Deadline deadline(loop_, Clock::now() + 10s);
      Result<Value> value = co_await client->eval(script, keys, {}, deadline);
      if (shown(value) != std::to_string(++counts[static_cast<std::size_t>(i)])) ++wrong;
      Result<Read> read = co_await read_lines(
          *client, "SET c" + key + " v PX 60000; GETRANGE c" + key + " 0 15", "c" + key);
      if (!read || read->values[0].text != "OK" || read->values[1].text != "v") ++wrong;
      ++done;
    }
    --under_way;
  };
  std::thread mover;
  std::atomic<bool> moved{false};
  run([&]() -> Task<void> {
    for (int i = 0; i < kKeys; ++i) {
      ++under_way;
      loop_.spawn(load(i));
    }
    bool good = co_await until([&] { return done > 2 * kKeys; });
    EXPECT_TRUE(good);
    mover = std::thread([&] {
      cluster.move_slot(slot, from, to);
      moved = true;
    });
    good = co_await until([&] { return moved.load(); });
    EXPECT_TRUE(good);
    const int then = done;
    good = co_await until([&] { return done > then + 2 * kKeys; });
    EXPECT_TRUE(good);
    over = true;
    good = co_await until([&] { return under_way == 0; });
    EXPECT_TRUE(good);
  });
  mover.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(cluster.owner(slot), to);
  EXPECT_NE(cluster.node(to).ask({"INFO", "commandstats"}).text.find("cmdstat_asking:"),
            std::string::npos);
  EXPECT_EQ(cluster.node(to).ask({"GET", "{a}0"}).text, std::to_string(counts[0]));
  EXPECT_EQ(errors("refused") + errors("broken") + errors("timeout"), 0);
}

TEST_F(ClusterTest, AKeyThatHasGoneAheadIsAskedForWhereItIs) {
  RedisCluster cluster(3);
  const auto client = client_for(options_of(cluster));
  const std::uint16_t slot = slot_of("a");
  const int from = cluster.owner(slot);
  const int to = (from + 1) % 3;
  const auto asked = [&] {
    const std::string stats = cluster.node(to).ask({"INFO", "commandstats"}).text;
    const std::size_t at = stats.find("cmdstat_asking:calls=");
    return at == std::string::npos ? 0 : std::stoi(stats.substr(at + 21));
  };
  run([&]() -> Task<void> {
    std::string answer = co_await ask(*client, "SET {a}1 one");
    EXPECT_EQ(answer, "OK");
    cluster.begin_move(slot, from, to);
    EXPECT_TRUE(cluster.move_keys(slot, from, to, 10));
    answer = co_await ask(*client, "GET {a}1");
    EXPECT_EQ(answer, "one");
    answer = co_await ask(*client, "SET {a}2 two");
    EXPECT_EQ(answer, "OK");
    EXPECT_EQ(asked(), 2);
    Result<Read> read = co_await read_lines(*client, "GET {a}1; GET {a}2", "{a}1");
    EXPECT_TRUE(read && read->values[0].text == "one" && read->values[1].text == "two");
    EXPECT_EQ(asked(), 4);
    // A script is not known there yet.
    const Script script("return redis.call('GET', KEYS[1])");
    const std::array<std::string_view, 1> keys = {"{a}2"};
    Deadline deadline(loop_, Clock::now() + 10s);
    Result<Value> value = co_await client->eval(script, keys, {}, deadline);
    EXPECT_EQ(shown(value), "two");
    cluster.end_move(slot, to);
    const int before = asked();
    answer = co_await ask(*client, "GET {a}1");
    EXPECT_EQ(answer, "one");
    EXPECT_EQ(asked(), before);
  });
}

// Keys of one slot in two places: the server says TRYAGAIN.
TEST_F(ClusterTest, AScriptOfKeysInTwoPlacesIsTriedAgain) {
  RedisCluster cluster(3);
  const auto client = client_for(options_of(cluster));
  const std::uint16_t slot = slot_of("a");
  const int from = cluster.owner(slot);
  const int to = (from + 1) % 3;
  const Script script("return redis.call('GET', KEYS[1]) .. redis.call('GET', KEYS[2])");
  const std::array<std::string_view, 2> keys = {"{a}1", "{a}2"};
  std::string answer;
  const auto one = [&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 10s);
    Result<Value> value = co_await client->eval(script, keys, {}, deadline);
    answer = shown(value);
  };
  run([&]() -> Task<void> {
    std::string set = co_await ask(*client, "SET {a}1 1");
    set = co_await ask(*client, "SET {a}2 2");
    co_await one();
    EXPECT_EQ(answer, "12");
    cluster.begin_move(slot, from, to);
    EXPECT_TRUE(cluster.move_keys(slot, from, to, 1));
    answer.clear();
    loop_.spawn(one());
    co_await turns(3);
    EXPECT_TRUE(cluster.move_keys(slot, from, to, 1));
    const bool done = co_await until([&] { return !answer.empty(); });
    EXPECT_TRUE(done);
    EXPECT_EQ(answer, "12");
  });
}

TEST_F(ClusterTest, NodesThatSendToEachOtherAreLeftAfterFiveTurns) {
  std::atomic<std::uint16_t> other{0};
  std::atomic<int> gets{0};
  const auto answer = [&](std::uint16_t own, const FakeServer::Line& line) {
    const std::string ports[2] = {std::to_string(own), std::to_string(other.load())};
    if (line[0] == "CLUSTER") {
      return std::optional<std::string>(
          "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:" + ports[0] + "\r\n");
    }
    if (line[0] != "GET") return std::optional<std::string>();
    return std::optional<std::string>("-MOVED 1 127.0.0.1:" + ports[gets++ % 2] + "\r\n");
  };
  std::atomic<std::uint16_t> own{0};
  FakeServer one([&](const FakeServer::Line& line) { return answer(own, line); });
  FakeServer two([&](const FakeServer::Line& line) { return answer(own, line); });
  own = one.port();
  other = two.port();
  Options options = options_for("");
  options.urls = {one.url(), two.url()};
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    const std::string got = co_await ask(*client, "GET k");
    EXPECT_EQ(got, "error: the nodes of Redis's cluster send from one to the other");
  });
  EXPECT_EQ(gets, 6);
}

// ---- losses ------------------------------------------------------------------------------------

TEST_F(ClusterTest, ADeadNodeCostsItsOwnKeysOnly) {
  RedisCluster cluster(3, {"--cluster-require-full-coverage", "no"});
  Options options = options_of(cluster);
  options.timeout = 100ms;
  const auto client = client_for(options);
  const std::string dead = key_of_node(1, 3);
  run([&]() -> Task<void> {
    for (int node = 0; node < 3; ++node) {
      const bool good =
          co_await until_answered(*client, "SET " + key_of_node(node, 3) + " 1", "OK");
      EXPECT_TRUE(good);
    }
    cluster.node(1).kill();
    for (int i = 0; i < 50; ++i) {
      Time begun = Clock::now();
      const std::string lost = co_await ask(*client, "GET " + dead);
      EXPECT_TRUE(failed(lost)) << lost;
      EXPECT_LT(Clock::now() - begun, 400ms);
      begun = Clock::now();
      const std::string first = co_await ask(*client, "GET " + key_of_node(0, 3));
      const std::string third = co_await ask(*client, "GET " + key_of_node(2, 3));
      EXPECT_EQ(first + third, "11");
    }
    EXPECT_TRUE(client->available());
    EXPECT_NE(client->trouble(), "");
    cluster.node(1).start();
    const bool back = co_await until_answered(*client, "SET " + dead + " 2", "OK");
    EXPECT_TRUE(back);
  });
}

// It may be the one that is on its own, and the others have made another one master.
TEST_F(ClusterTest, ANodeThatHasLostTheOthersVouchesForNothing) {
  RedisCluster cluster(3);
  Options options = options_of(cluster);
  options.tracking = true;
  options.vouchers = std::make_shared<Vouchers>();
  const auto client = client_for(options);
  const std::string key = key_of_node(0, 3);
  run([&]() -> Task<void> {
    Result<Read> read = co_await read_lines(*client, "GET " + key, key);
    EXPECT_TRUE(read && options.vouchers->good(read->vouch));
    for (const int other : {1, 2}) cluster.node(other).kill();
    for (bool down = false; !down;) {
      const std::string answer = co_await ask(*client, "GET " + key);
      down = answer.find("error: Redis: CLUSTERDOWN") == 0;
      EXPECT_NE(down, options.vouchers->good(read->vouch));
    }
  });
}

TEST_F(ClusterTest, AReplicaThatTakesOverIsFound) {
  RedisCluster cluster(3);
  const int replica = cluster.add_replica(1);
  Options options = options_of(cluster);
  options.tracking = true;
  options.vouchers = std::make_shared<Vouchers>();
  const auto client = client_for(options);
  const std::string key = key_of_node(1, 3);
  run([&]() -> Task<void> {
    bool good = co_await until_answered(*client, "SET " + key + " 1", "OK");
    EXPECT_TRUE(good);
    Result<Read> read = co_await read_lines(*client, "GET " + key, key);
    EXPECT_TRUE(read && options.vouchers->good(read->vouch));
    cluster.node(1).kill();
    good = co_await until_answered(*client, "SET " + key + " 2", "OK");
    EXPECT_TRUE(good);
    EXPECT_FALSE(options.vouchers->good(read->vouch));
    EXPECT_EQ(cluster.node(replica).ask({"GET", key}).text, "2");
    // The old one is let go.
    good = co_await until([&] { return client->trouble().empty(); });
    EXPECT_TRUE(good);
  });
}

TEST_F(ClusterTest, ANodeThatGaveItsSlotsAwayIsLetGo) {
  RedisCluster cluster(2);
  const int third = cluster.add_master();
  // What a cluster of this size can do in a test: two slots, moved there and back.
  const std::string key = key_of_node(0, 2);
  cluster.move_slot(slot_of(key), 0, third);
  Options options = options_of(cluster);
  options.tracking = true;
  options.connections = 1;
  options.vouchers = std::make_shared<Vouchers>();
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    Result<Read> read = co_await read_lines(*client, "SET " + key + " 1; GET " + key, key);
    EXPECT_TRUE(read && options.vouchers->good(read->vouch));
    EXPECT_EQ(cluster.node(third).ask({"DBSIZE"}).integer, 1);
    cluster.move_slot(slot_of(key), third, 0);
    const std::string got = co_await ask(*client, "GET " + key);
    EXPECT_EQ(got, "1");
    const bool gone = co_await until([&] { return !options.vouchers->good(read->vouch); });
    EXPECT_TRUE(gone);
    const bool closed = co_await until([&] {
      return cluster.node(third).ask({"CLIENT", "LIST"}).text.find("name=penstock") ==
             std::string::npos;
    });
    EXPECT_TRUE(closed);
  });
}

// ---- what concerns several nodes ---------------------------------------------------------------

TEST_F(ClusterTest, KeysOfAScriptMustBeInOneSlot) {
  RedisCluster cluster(3);
  const auto client = client_for(options_of(cluster));
  const Script script("return #KEYS");
  run([&]() -> Task<void> {
    const std::array<std::string_view, 2> apart = {"a", "b"};
    const std::array<std::string_view, 2> together = {"{t}a", "{t}b"};
    Deadline deadline(loop_, Clock::now() + 10s);
    Result<Value> value = co_await client->eval(script, apart, {}, deadline);
    EXPECT_TRUE(!value && value.error().kind == Kind::invalid);
    EXPECT_EQ(shown(value), "error: a script's keys are in different slots of Redis's cluster");
    value = co_await client->eval(script, together, {}, deadline);
    EXPECT_EQ(shown(value), "2");
    value = co_await client->eval(script, {}, {}, deadline);
    EXPECT_EQ(shown(value), "0");
  });
}

TEST_F(ClusterTest, ATrackedKeyIsToldOfByItsNode) {
  RedisCluster cluster(3);
  Options options = options_of(cluster);
  options.tracking = true;
  options.vouchers = std::make_shared<Vouchers>();
  std::vector<std::string> heard;
  options.changed = [&](std::string_view key, Vouch) { heard.emplace_back(key); };
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    for (int node = 0; node < 3; ++node) {
      const std::string key = key_of_node(node, 3);
      Result<Read> read = co_await read_lines(*client, "GET " + key, key);
      EXPECT_TRUE(read && options.vouchers->good(read->vouch) && !read->changed);
      EXPECT_EQ(cluster.node(node).ask({"SET", key, "theirs"}).text, "OK");
      const bool told = co_await until([&] { return !heard.empty() && heard.back() == key; });
      EXPECT_TRUE(told);
    }
  });
}

TEST_F(ClusterTest, ChannelsAreHeardThroughAnyNodeAndComeBackOnAnother) {
  RedisCluster cluster(3, {"--cluster-require-full-coverage", "no"});
  const auto client = client_for(options_of(cluster));
  int subscribed = 0;
  std::vector<std::string> heard;
  client->subscribe(
      "news", [&](std::string_view text) { heard.emplace_back(text); }, [&] { ++subscribed; });
  const auto where = [&] {
    for (int i = 0; i < 3; ++i) {
      const Value count = cluster.node(i).ask({"PUBSUB", "NUMSUB", "news"});
      if (count.items.size() == 2 && count.items[1].integer == 1) return i;
    }
    return -1;
  };
  run([&]() -> Task<void> {
    bool good = co_await until([&] { return subscribed > 0 && where() >= 0; });
    EXPECT_TRUE(good);
    for (int i = 0; i < 3; ++i) cluster.node(i).ask({"PUBLISH", "news", std::to_string(i)});
    good = co_await until([&] { return heard.size() == 3; });
    EXPECT_TRUE(good);
    const int lost = where();
    const int before = subscribed;
    cluster.node(lost).kill();
    good = co_await until([&] { return subscribed > before; });
    EXPECT_TRUE(good);
    // The nodes that are left may still be looking for the lost one: a message may go astray.
    good = co_await until([&] {
      cluster.node((lost + 1) % 3).ask({"PUBLISH", "news", "again"});
      return heard.back() == "again";
    });
    EXPECT_TRUE(good);
    const std::array<std::string_view, 3> words = {"PUBLISH", "news", "told"};
    good = co_await until([&] {
      client->tell(words);
      return heard.back() == "told";
    });
    EXPECT_TRUE(good);
  });
}

TEST_F(ClusterTest, EndsWithCallsUnderWay) {
  RedisCluster cluster(2);
  auto client = client_for(options_of(cluster));
  std::string answer;
  const auto one = [&]() -> Task<void> { answer = co_await ask(*client, "BLPOP none 10"); };
  run([&]() -> Task<void> {
    const std::string ready = co_await ask(*client, "GET none");
    EXPECT_EQ(ready, "null");
    loop_.spawn(one());
    co_await turns();
    client.reset();
    const bool ended = co_await until([&] { return !answer.empty(); });
    EXPECT_TRUE(ended);
    EXPECT_EQ(answer, "error: the Redis client ends");
  });
}

}  // namespace
}  // namespace penstock::redis
