// All the servers of a client - one, a master that the sentinels name, or a cluster - and where
// each command goes.
//
//   command ─> key ─> node ─> answer
//                      ^        │ MOVED, ASK, TRYAGAIN
//                      └────────┘ at most five times
//
// One server that turns out to be of a cluster (it says so in its greeting) becomes the cluster's
// seed.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "redis/cluster.h"
#include "redis/node.h"
#include "redis/plan.h"
#include "redis/sentinel.h"
#include "redis/subscriber.h"

namespace penstock::redis {

// Belongs to a loop. Outlives the client while something of it is under way.
class Fleet final : public std::enable_shared_from_this<Fleet>, public Node::Watcher {
 public:
  static constexpr int kMostTurns = 5;

  // What a node answered, errors of its own included.
  struct Answer {
    Value value;
    std::shared_ptr<Node> node;
  };

  Fleet(Loop& loop, const Plan& plan, std::shared_ptr<Node::Common> common);
  void start();
  // Calls under way end with an Error.
  void stop();

  bool available(Time now) const;
  unsigned connections() const;
  const std::string& trouble() const;

  static Task<Result<Answer>> ask(std::shared_ptr<Fleet> self, Words words, Deadline& deadline);
  // As Client's.
  static Task<Result<Read>> read(std::shared_ptr<Fleet> self, std::span<const Words> commands,
                                 std::string_view key, Deadline& deadline);
  void tell(Words words);
  void subscribe(const std::string& channel, std::function<void(std::string_view)> heard,
                 std::function<void()> subscribed);
  // Keys of several slots can be used in one command only where there is no cluster.
  bool in_one_slot(Words keys) const;

 private:
  struct Target {
    std::shared_ptr<Node> node;
    bool asking = false;
    int turns = 0;
  };
  // The channels' connection: to wherever the commands go.
  class Somewhere;

  std::shared_ptr<Node> node_for(std::optional<std::string_view> key) const;
  Task<Result<void>> find(std::optional<std::string_view> key, Target& target, Deadline& deadline);
  Task<Result<void>> turn(const Redirect& redirect, Target& target, Deadline& deadline);
  static Task<void> tell_soon(std::shared_ptr<Fleet> self, std::vector<std::string> words);

  void become_cluster(std::vector<Server> seeds);
  void changed();
  void on_standing() override { changed(); }
  void on_failure() override {}
  void on_cluster() override;

  Loop& loop_;
  const Plan plan_;
  const std::shared_ptr<Node::Common> common_;
  const std::shared_ptr<Somewhere> somewhere_;
  std::shared_ptr<Node> node_;           // the one server; null where there is a map of many
  std::shared_ptr<Node> former_;         // it, when it became a seed
  std::shared_ptr<Cluster> cluster_;     // null: there is none
  std::shared_ptr<MasterWatch> master_;  // null: there are no sentinels
  std::shared_ptr<Subscriber> subscriber_;
  bool up_ = false;
  bool stopped_ = false;
};

}  // namespace penstock::redis
