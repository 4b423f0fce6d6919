// Commands about one key in one go, and for how long their answers hold.
#pragma once

#include <vector>

#include "redis/value.h"
#include "redis/vouchers.h"

namespace penstock::redis {

// What was answered to commands about one key. It holds until who asked waits for something else:
// what changes behind that is told by `Options::changed`.
struct Read {
  std::vector<Value> values;  // one a command, errors of Redis's own included
  Vouch vouch = 0;            // of the connection that answered; 0: it is not tracked
  bool changed = false;       // an invalidation of the key came since the commands were sent
};

}  // namespace penstock::redis
