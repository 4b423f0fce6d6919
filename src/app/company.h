// What this node and the others tell each other through Redis, away from any request: how many
// nodes there are and what they owe, which keys have changed, who is active. Without Redis only
// what must be looked after now and then.
//
// A loop and a thread of its own, with a connection of its own: a worker that is busy must not
// make the others believe that this node is gone.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "engagement/engagement.h"
#include "engagement/redis_shared.h"
#include "limit/shared.h"
#include "observe/log.h"
#include "redis/client.h"

namespace penstock::app {

class Company {
 public:
  struct Parts {
    std::shared_ptr<limit::Shared> limits;  // null: limits are this node's own
    engagement::Engagement* engagement = nullptr;
    std::function<void()> keys_changed;  // somewhere; on this thread
  };
  // The Error is one of the options. What the parts point to must outlive it.
  static Result<std::unique_ptr<Company>> make(const std::optional<redis::Options>& options,
                                               Parts parts, observe::Log& log);
  Company(const Company&) = delete;
  Company& operator=(const Company&) = delete;
  ~Company();

  void start();
  // Tells the other nodes that keys or tenants have changed. Any thread.
  void tell_keys_changed();

 private:
  explicit Company(Parts parts) : parts_(std::move(parts)) {}
  Task<void> exchange_on();
  Task<void> keep_limits();
  void ended();

  Parts parts_;
  Loop loop_;
  Deadline until_{loop_, Time::max()};
  Deadline limits_until_{loop_, Time::max()};
  std::unique_ptr<redis::Client> client_;  // null: there is no Redis
  std::unique_ptr<engagement::RedisShared> shared_;
  int running_ = 0;
  std::thread thread_;
};

}  // namespace penstock::app
