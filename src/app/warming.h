// Warming at the start: the questions of `cache.warm.file` are answered in the background.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "gateway/gateway.h"
#include "observe/log.h"
#include "settings/settings.h"

namespace penstock::app {

class Warming {
 public:
  Warming(gateway::House& house, observe::Log& log) : house_(house), log_(log) {}
  Warming(const Warming&) = delete;
  Warming& operator=(const Warming&) = delete;
  ~Warming() { end(); }

  // Once the workers run. A file that cannot be read is a warning: who starts a gateway wants it to
  // answer.
  void begin(const settings::Settings& settings);
  // Before the workers end.
  void end();

 private:
  void read(const std::string& file, const std::string& id, const std::string& model);

  gateway::House& house_;
  observe::Log& log_;
  std::atomic<bool> ending_{false};
  std::thread reader_;
};

}  // namespace penstock::app
