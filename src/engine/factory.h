// Engines as they are configured: what all workers share of them, and each worker's own.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "http/transport.h"
#include "observe/log.h"
#include "observe/metrics.h"
#include "settings/settings.h"

namespace penstock::engine {

class Library;
class SimulatedHall;

// What an operator is told of an engine. Without a word of where it is: health is open to all.
struct Health {
  std::string name;  // the engine's
  bool good = true;
  // Whether a question can be answered at all: false while documents are read for the first time.
  bool usable = true;
  std::string detail;  // what is wrong, or what is there
};

// The parts that all workers share: indexes of folders, queues of simulated engines.
class Shared {
 public:
  explicit Shared(observe::Log& log);
  ~Shared();

  // Makes what the settings need and is not there yet; keeps the rest. The error names the engine
  // and what is wrong with it (a folder that is missing). Any thread, one at a time.
  Result<void> open(const settings::Settings& settings);

  // A worker's engine. REQUIRES: open() succeeded with settings that hold it.
  std::shared_ptr<Engine> make(const settings::EngineSettings& settings, unsigned workers,
                               Loop& loop, observe::Shard& metrics);

  // Of every engine of the settings, in their order. An engine behind a network counts as good:
  // nothing asks it in the background.
  std::vector<Health> health() const;

  // Whether any engine is usable, or there is none. Cheap; any thread.
  bool ready() const;

 private:
  struct Known {
    std::string name;
    settings::EngineKind kind;
    std::string path;
  };
  Health health_of(const Known& engine) const;

  observe::Log& log_;
  mutable std::mutex mutex_;
  std::vector<Known> known_;
  std::map<std::string, std::shared_ptr<Library>> libraries_;    // by path
  std::map<std::string, std::shared_ptr<SimulatedHall>> halls_;  // by engine name
  std::map<std::string, std::shared_ptr<http::TlsClient>> tls_;  // by engine name
};

}  // namespace penstock::engine
