// A connection for messages alone: it subscribes again whenever it comes back.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/signal.h"
#include "redis/backoff.h"
#include "redis/connection.h"
#include "redis/origin.h"

namespace penstock::redis {

// Belongs to a loop. Held by its coroutine too, which ends soon after stop().
class Subscriber final : private Connection::Owner {
 public:
  static constexpr Duration kPing = 5s;     // an idle connection that is gone would not be noticed
  static constexpr Duration kTimeout = 1s;  // for its answer

  Subscriber(Loop& loop, std::shared_ptr<Origin> origin, Duration connect_timeout);
  // Before its first subscription: it runs from then on.
  static void start(const std::shared_ptr<Subscriber>& self);
  void stop();
  // A connection that is elsewhere, or where it must not stay, is made anew.
  void follow(const std::string& place);
  template <class Stays>
  void stay_where(const Stays& stays) {
    if (connection_ && !stays(connection_->place())) leave("it is of the cluster no more");
  }

  void add(const std::string& channel, std::function<void(std::string_view)> heard,
           std::function<void()> subscribed);

 private:
  struct Listener {
    std::function<void(std::string_view)> heard;
    std::function<void()> subscribed;
  };
  static Task<void> run(std::shared_ptr<Subscriber> self);
  Task<Result<void>> open(Deadline& until);
  Task<void> stay(Deadline& until);
  void subscribe(std::string_view channel);
  void leave(std::string why);

  void on_reply(const Value&, std::size_t, Duration) override {}
  void on_push(const Value& value) override;
  void on_end(const Error& error, std::size_t waiting) override;

  Loop& loop_;
  const std::shared_ptr<Origin> origin_;
  const Duration connect_timeout_;
  Deadline until_;
  Backoff backoff_;
  Signal ended_;
  std::shared_ptr<Connection> connection_;
  std::multimap<std::string, Listener, std::less<>> listeners_;
};

}  // namespace penstock::redis
