// For tests: a cluster of real servers on free ports, made by hand, which is faster than redis-cli.
//
//   RedisCluster cluster(3);              // three masters
//   cluster.add_replica(0);               // of the first
//   cluster.move_slot(slot, 0, 2);        // with its keys, as redis-cli --cluster reshard does
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <string>
#include <vector>

#include "redis/server_testing.h"
#include "redis/slots.h"

namespace penstock::redis {

class RedisCluster {
 public:
  explicit RedisCluster(int masters, const RedisServer::Arguments& more = {}) : more_(more) {
    for (int i = 0; i < masters; ++i) add();
    for (int i = 0; i < masters; ++i) {
      const int first = kSlots * i / masters;
      const int last = kSlots * (i + 1) / masters - 1;
      EXPECT_EQ(node(i).ask({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)}).text, "OK");
      EXPECT_EQ(node(i)
                    .ask({"CLUSTER", "ADDSLOTSRANGE", std::to_string(first), std::to_string(last)})
                    .text,
                "OK");
      if (i > 0) meet(i);
    }
    EXPECT_TRUE(wait([&] { return agreed(); }));
  }

  RedisServer& node(int i) { return *nodes_[static_cast<std::size_t>(i)]; }
  int size() const { return static_cast<int>(nodes_.size()); }
  std::vector<std::string> urls() const {
    std::vector<std::string> urls;
    for (const auto& one : nodes_) urls.push_back(one->url());
    return urls;
  }
  std::string id(int i) { return node(i).ask({"CLUSTER", "MYID"}).text; }
  // Whose master has the slot by the map of node `by`; -1: nobody's.
  int owner(std::uint16_t slot, int by = 0) {
    const Result<SlotMap> map = read_slots(node(by).ask({"CLUSTER", "SLOTS"}), "127.0.0.1");
    if (!map) return -1;
    for (const SlotMap::Range& range : map->ranges) {
      if (slot < range.first || slot > range.last) continue;
      for (int i = 0; i < size(); ++i) {
        if (node(i).port() == map->masters[range.master].port) return i;
      }
    }
    return -1;
  }

  int add_replica(int of) {
    const int i = add();
    meet(i);
    EXPECT_TRUE(wait([&] { return known(i) == size(); }));
    EXPECT_EQ(node(i).ask({"CLUSTER", "REPLICATE", id(of)}).text, "OK");
    EXPECT_TRUE(wait([&] {
      return node(i).ask({"INFO", "replication"}).text.find("master_link_status:up") !=
                 std::string::npos &&
             agreed();
    }));
    return i;
  }
  int add_master() {
    const int i = add();
    meet(i);
    EXPECT_TRUE(wait([&] { return agreed(); }));
    return i;
  }

  void begin_move(std::uint16_t slot, int from, int to) {
    const std::string number = std::to_string(slot);
    EXPECT_EQ(node(to).ask({"CLUSTER", "SETSLOT", number, "IMPORTING", id(from)}).text, "OK");
    EXPECT_EQ(node(from).ask({"CLUSTER", "SETSLOT", number, "MIGRATING", id(to)}).text, "OK");
  }
  // False: there are no more.
  bool move_keys(std::uint16_t slot, int from, int to, int count) {
    const std::string number = std::to_string(slot);
    const std::string port = std::to_string(node(to).port());
    const Value keys = node(from).ask({"CLUSTER", "GETKEYSINSLOT", number, std::to_string(count)});
    if (keys.items.empty()) return false;
    std::vector<std::string_view> words = {"MIGRATE", "127.0.0.1", port, "", "0", "5000", "KEYS"};
    for (const Value& key : keys.items) words.push_back(key.text);
    const std::string done = node(from).ask(Words(words)).text;
    EXPECT_TRUE(done == "OK" || done == "NOKEY") << done;
    return true;
  }
  void end_move(std::uint16_t slot, int to) {
    const std::string owner = id(to);
    // The new owner first: else both would send to each other.
    node(to).ask({"CLUSTER", "SETSLOT", std::to_string(slot), "NODE", owner});
    for (int i = 0; i < size(); ++i) {
      if (i != to) node(i).ask({"CLUSTER", "SETSLOT", std::to_string(slot), "NODE", owner});
    }
  }
  void move_slot(std::uint16_t slot, int from, int to) {
    begin_move(slot, from, to);
    while (move_keys(slot, from, to, 10)) continue;
    end_move(slot, to);
  }

  template <class Condition>
  static bool wait(const Condition& condition) {
    for (int ms = 0; ms < 20'000; ms += 5) {
      if (condition()) return true;
      ::poll(nullptr, 0, 5);
    }
    return false;
  }

 private:
  int add() {
    RedisServer::Arguments arguments = {
        "--cluster-enabled",          "yes", "--cluster-node-timeout", "1000",
        "--repl-diskless-sync-delay", "0",   "--cluster-port"};
    ports_.push_back(RedisServer::free_port());
    arguments.push_back(std::to_string(ports_.back()));
    arguments.insert(arguments.end(), more_.begin(), more_.end());
    nodes_.push_back(std::make_unique<RedisServer>(arguments));
    return size() - 1;
  }
  void meet(int i) {
    EXPECT_EQ(node(0)
                  .ask({"CLUSTER", "MEET", "127.0.0.1", std::to_string(node(i).port()),
                        std::to_string(ports_[static_cast<std::size_t>(i)])})
                  .text,
              "OK");
  }
  static int number(const std::string& info, const std::string& name) {
    const std::size_t at = info.find(name);
    return at == std::string::npos ? -1 : std::stoi(info.substr(at + name.size()));
  }
  int known(int i) { return number(node(i).ask({"CLUSTER", "INFO"}).text, "cluster_known_nodes:"); }
  bool agreed() {
    for (int i = 0; i < size(); ++i) {
      const std::string info = node(i).ask({"CLUSTER", "INFO"}).text;
      if (info.find("cluster_state:ok") == std::string::npos ||
          number(info, "cluster_known_nodes:") != size() ||
          number(info, "cluster_slots_ok:") != kSlots) {
        return false;
      }
    }
    return true;
  }

  const RedisServer::Arguments more_;
  std::vector<std::unique_ptr<RedisServer>> nodes_;
  std::vector<std::uint16_t> ports_;  // of the bus
};

}  // namespace penstock::redis
