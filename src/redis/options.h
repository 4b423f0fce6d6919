// How Redis is reached and what is expected of it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "redis/metrics.h"
#include "redis/vouchers.h"

namespace penstock::redis {

struct Options {
  std::vector<std::string> urls;  // one, the sentinels', or some nodes' of a cluster
  std::string sentinel;           // name of the service whose master the sentinels know
  std::string username;           // win over what the URL says; sentinels have the URLs' own
  std::string password;
  std::string ca;  // a file of certificates for rediss; empty: the system's
  unsigned connections = 2;
  Duration timeout = 50ms;  // for an answer, or for a connection where there is none
  Duration connect_timeout = 2s;
  std::string name = "penstock";       // what CLIENT LIST shows
  std::shared_ptr<Standing> standing;  // the node's; may be null

  // Client-side caching (RESP3): Redis says of each key that was read when it changes.
  bool tracking = false;
  std::shared_ptr<Vouchers> vouchers;  // REQUIRES: not null where tracking
  // Called on the client's loop when somebody else changed a key that was read on the connection
  // that vouches by this;
  // with an empty key where any may have changed (FLUSHALL).
  std::function<void(std::string_view key, Vouch by)> changed;
};

}  // namespace penstock::redis
