// Warming at the start: the questions of `cache.warm.file`, and those that were asked most, are
// answered in the background.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "gateway/gateway.h"
#include "observe/log.h"
#include "settings/settings.h"
#include "store/popular.h"

namespace penstock::app {

class Warming {
 public:
  Warming(gateway::House& house, observe::Log& log) : house_(house), log_(log) {}
  Warming(const Warming&) = delete;
  Warming& operator=(const Warming&) = delete;
  ~Warming() { end(); }

  // Once the workers run. A file that cannot be read is a warning: who starts a gateway wants it to
  // answer.
  void begin(const settings::Settings& settings, store::Database& database);
  // Before the workers end.
  void end();

 private:
  bool read(const std::string& file, const std::string& id, const std::string& model, bool more);
  void recall(store::Database& database, std::uint32_t most, const std::string& id);
  Result<std::vector<store::PopularQuestion>> list(store::Database& database, std::uint32_t most,
                                                   std::uint32_t behind);
  bool add(const std::string& id, const std::vector<gateway::WarmQuestion>& questions,
           const std::vector<std::string>& unreadable, bool more);

  gateway::House& house_;
  observe::Log& log_;
  std::atomic<bool> ending_{false};
  std::thread reader_;
};

}  // namespace penstock::app
