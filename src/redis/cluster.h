// The nodes of a Redis cluster, and which of them has which slots.
//
//   key ─CRC16─> slot ─map─> node ──MOVED──> the slot is noted to be there, and the map is asked
//   for
//                                            again: once for all who were sent away
//
// The map is CLUSTER SLOTS of whichever node answers, on a connection of its own: no node's breaker
// and no line of commands is in its way. A node is connected to when it is first needed, has its
// own breaker, and is let go when it is no master any more.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/loop.h"
#include "base/signal.h"
#include "redis/node.h"
#include "redis/slots.h"

namespace penstock::redis {

// Belongs to a loop. Held by its coroutine too, which ends soon after stop().
class Cluster final : public Origin,
                      public std::enable_shared_from_this<Cluster>,
                      public Node::Watcher {
 public:
  static constexpr Duration kEach = 10s;        // the map is asked for again
  static constexpr Duration kUnsettled = 1s;    // the same, while a node is not reached
  static constexpr Duration kSoonest = 500ms;   // between two times
  static constexpr Duration kPatience = 500ms;  // for a node to tell it
  static constexpr Duration kForget = 30s;      // a node that never had a slot and is not asked

  // `seeds`: to be asked for the map, the first one says how the nodes are spoken to. `changed`:
  // its map or its standing may have; until stop().
  Cluster(Loop& loop, std::vector<Server> seeds, std::shared_ptr<Node::Common> common,
          std::function<void()> changed);
  void start();
  // Calls under way end with an Error.
  void stop();

  // There is a map.
  bool known() const { return !masters_.empty(); }
  // Waits for it, as long as for a connection. An Error at once where nobody had one.
  Task<Result<void>> wait_until_known(Deadline& deadline);

  // Null: nobody has the slot.
  std::shared_ptr<Node> node_of(std::uint16_t slot);
  // One that is reached, if there is one. REQUIRES: known().
  std::shared_ptr<Node> any_node();
  // The node at the place, which has the slot from now on. An empty host is that of `from`.
  std::shared_ptr<Node> moved(std::uint16_t slot, Place place, const Node& from);
  // The node at the place, for this once.
  std::shared_ptr<Node> node_at(Place place, const Node& from);
  // The map is asked for again.
  void look() const { wanted_.wake(); }

  // Of any of its nodes.
  bool available(Time now) const;
  bool up() const;
  unsigned connections() const;
  const std::string& trouble() const;
  // Master or replica, by the last map.
  bool has(const std::string& place) const { return places_.count(place) > 0; }

  // As an Origin: whichever node is there.
  Task<Result<std::shared_ptr<Connection>>> open(const Connection::Use& use,
                                                 Deadline& deadline) override;
  void doubt() override {}
  std::string place() const override { return "the cluster of " + seeds_.front()->place(); }

 private:
  struct Member {
    std::shared_ptr<OneServer> origin;
    std::shared_ptr<Node> node;
    bool master = false;  // by the last map
    Time asked = Time::min();
  };
  static constexpr std::uint16_t kNobody = 0xffff;

  static Task<void> keep(std::shared_ptr<Cluster> self);
  Task<void> rest();
  Task<Result<SlotMap>> fetch();
  std::vector<std::shared_ptr<OneServer>> sources();
  void has_no_map(const Error& error);
  void take(const SlotMap& map);
  bool settled() const;
  Member& member_at(const Place& place);
  void retire(const std::shared_ptr<Node>& node);
  void wake_waiting();

  void on_standing() override;
  void on_failure() override { look(); }

  Loop& loop_;
  const Server like_;  // what a node's differs from in host and port only
  const std::shared_ptr<Node::Common> common_;
  std::vector<std::shared_ptr<OneServer>> seeds_;
  std::function<void()> changed_;
  Deadline until_;
  Signal wanted_;
  std::map<std::string, Member> members_;       // by place
  std::vector<std::shared_ptr<Node>> masters_;  // as slots_ counts them
  std::array<std::uint16_t, kSlots> slots_{};   // who has each
  std::set<std::string> places_;                // of masters and replicas
  std::vector<std::weak_ptr<Node>> retired_;
  std::deque<Signal> waiting_;  // for the map
  std::string trouble_;         // why there is none
  Backoff backoff_;             // while there is none
  Time looked_ = Time::min();
  std::size_t turn_ = 0;
  bool up_ = false;
  bool stopped_ = false;
};

}  // namespace penstock::redis
