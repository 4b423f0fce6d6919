// What the program asks of others beside engines' answers: keys of tokens, how an engine is.
#pragma once

#include "base/clock.h"
#include "observe/metrics.h"

namespace penstock::observe {

// Of one target; by one thread. A default-made one counts nothing.
class External {
 public:
  External() = default;
  External(Shard& shard, std::string_view target)
      : success_(requests(shard, target, "success")),
        error_(requests(shard, target, "error")),
        duration_(shard.histogram("penstock_external_requests_duration_seconds",
                                  "Time of a call to another service, to its last byte.", kFast,
                                  {{"target", std::string(target)}})) {}

  // `good`: the answer came, and is what was asked for.
  void ended(bool good, Duration took) {
    (good ? success_ : error_).add();
    duration_.observe(std::chrono::duration<double>(took).count());
  }

 private:
  static Counter requests(Shard& shard, std::string_view target, const char* result) {
    return shard.counter("penstock_external_requests_total",
                         "Calls to other services: keys of tokens (jwks), checks of engines "
                         "(health).",
                         {{"target", std::string(target)}, {"result", result}});
  }

  Counter success_, error_;
  Histogram duration_;
};

}  // namespace penstock::observe
