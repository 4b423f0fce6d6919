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

#include "cache/purges.h"
#include "engagement/engagement.h"
#include "engagement/redis_shared.h"
#include "gateway/gateway.h"
#include "limit/shared.h"
#include "observe/log.h"
#include "redis/client.h"

namespace penstock::app {

class Company {
 public:
  struct Parts {
    std::shared_ptr<limit::Shared> limits;  // null: limits are this node's own
    engagement::Engagement* engagement = nullptr;
    gateway::House* house = nullptr;       // whose answers are purged
    bool tracking = false;                 // Redis tells when something was purged elsewhere
    std::function<void()> keys_changed;    // somewhere; on this thread
    std::function<void()> look_at_memory;  // each kLook
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
  cache::Purges& purges() { return purges_; }

 private:
  Company(Parts parts, observe::Log& log);
  Task<void> exchange_on();
  Task<void> keep_limits();
  Task<void> watch_memory();
  Task<void> keep_purges();
  void ended();

  Parts parts_;
  Loop loop_;
  Deadline until_{loop_, Time::max()};
  Deadline limits_until_{loop_, Time::max()};
  Deadline memory_until_{loop_, Time::max()};
  Deadline purges_until_{loop_, Time::max()};
  std::unique_ptr<redis::Client> client_;  // null: there is no Redis
  std::unique_ptr<redis::Client> watch_;   // likewise: tells what was purged
  cache::Purges purges_;
  std::unique_ptr<engagement::RedisShared> shared_;
  int running_ = 0;
  std::thread thread_;
};

}  // namespace penstock::app
