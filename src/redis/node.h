// One Redis server: the connections to it, and whether it is asked at all.
//
//   ask ─> breaker ─> the connection with the shortest line ─> the server
//                     (connections come back by themselves, 50 ms .. 5 s apart)
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/loop.h"
#include "base/signal.h"
#include "observe/log.h"
#include "redis/backoff.h"
#include "redis/breaker.h"
#include "redis/connection.h"
#include "redis/options.h"
#include "redis/origin.h"
#include "redis/read.h"
#include "redis/script.h"

namespace penstock::redis {

// What "the Redis client ends" is to who waits.
Error client_ended();

// Belongs to a loop. Held by its coroutines too, which end soon after stop().
class Node final : public std::enable_shared_from_this<Node> {
 public:
  // Of all nodes of a client.
  struct Common {
    Options options;
    Metrics metrics;
    observe::Log& log;
    std::shared_ptr<const Tracking::Ears> ears{};  // null: connections are not tracked
  };
  // Is told on the loop until stop().
  class Watcher {
   public:
    virtual ~Watcher() = default;
    // up() may have changed.
    virtual void on_standing() = 0;
    // Something did not work.
    virtual void on_failure() {}
    // It is one of a cluster.
    virtual void on_cluster() {}
  };

  Node(Loop& loop, std::shared_ptr<Origin> origin, std::shared_ptr<Common> common,
       Watcher* watcher);

  // Connects from now on. May be called again.
  void start();
  bool started() const { return !links_.empty(); }
  // It vouches for nothing any more, and is stopped when whoever asks it now has the answer.
  void retire();
  // Calls under way end with an Error.
  void stop();
  // Connections that are elsewhere are made anew: calls under way there end with an Error.
  void follow(const std::string& place);

  // False while calls fail at once.
  bool available(Time now) const { return !stopped_ && breaker_.admits(now); }
  // It was reached, and nothing is known against it.
  bool up() const { return open_ > 0 && !breaker_.open(); }
  unsigned connections() const { return open_; }
  const std::string& trouble() const { return trouble_; }

  // Redis's answer as it is, errors of its own included. `asking`: behind ASKING.
  static Task<Result<Value>> ask(std::shared_ptr<Node> self, Words words, bool asking,
                                 Deadline& deadline);
  // As Client::read().
  static Task<Result<Read>> read(std::shared_ptr<Node> self, std::span<const Words> commands,
                                 std::string_view key, bool asking, Deadline& deadline);
  void tell(Words words);

  // Puts the script into Redis: one load for all who found it missing. `called`: when that was sent
  // which found it missing. Whether it worked is seen by who calls it again.
  static Task<Result<void>> load(std::shared_ptr<Node> self, const Script& script, Time called,
                                 Deadline& deadline);

 private:
  // One of the connections, whether it is open or not.
  struct Link final : Connection::Owner {
    explicit Link(Node& of) : node(of), until(of.loop_, Time::max()), ended(of.loop_) {}
    void on_reply(const Value& value, std::size_t command, Duration took) override;
    void on_push(const Value&) override {}
    void on_end(const Error& error, std::size_t waiting) override;
    Node& node;
    std::shared_ptr<Connection> connection;
    Backoff backoff;
    Deadline until;
    Signal ended;
  };
  struct Load {
    bool under_way = false;
    Time done = Time::min();
    std::deque<Signal> waiting{};
  };

  static Task<void> leave(std::shared_ptr<Node> self);
  static Task<void> keep(std::shared_ptr<Node> self, Link& link);
  Task<Result<std::shared_ptr<Connection>>> open(Link& link);
  Task<void> stay(Link& link);

  Result<void> admit();
  Task<Result<void>> wait_for_connection(Deadline& deadline);
  Result<void> has_room(const Connection& connection);
  Connection* shortest() const;
  Connection* connection_of(std::string_view key) const;
  void wake_waiting();

  void connected(const std::string& place);
  void lost(const Error& error, std::size_t waiting);
  void replied(const Value& value, std::size_t command, Duration took);
  void doubt_reads();
  void turned(const Error& error);
  void full(const Error& error);
  void failed(const Error& error, Fault fault, bool connecting);
  void tell_standing();

  Loop& loop_;
  const std::shared_ptr<Origin> origin_;
  const std::shared_ptr<Common> common_;
  Watcher* watcher_;
  Breaker breaker_;
  std::deque<Link> links_;
  std::deque<Signal> waiting_;         // for a connection
  std::map<std::string, Load> loads_;  // by the scripts' digests
  std::string place_;                  // of the last connection
  std::string trouble_;
  Time full_until_ = Time::min();
  unsigned open_ = 0;
  bool up_ = false;
  bool stopped_ = false;
};

}  // namespace penstock::redis
