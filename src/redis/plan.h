// What the options come to: which servers are spoken to, and how.
#pragma once

#include <vector>

#include "redis/connection.h"
#include "redis/options.h"

namespace penstock::redis {

struct Plan {
  Server server;                    // where there are sentinels its host and port say nothing
  std::vector<Server> sentinels{};  // none: its address is known
  std::vector<Server> seeds{};      // of a cluster: more than one, and `server` is the first
};

// The Error names what is wrong, never a password.
Result<Plan> plan_of(const Options& options);

}  // namespace penstock::redis
