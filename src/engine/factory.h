// Engines as they are configured: what all workers share of them, and each worker's own.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/vitals.h"
#include "net/transport.h"
#include "observe/log.h"
#include "observe/metrics.h"
#include "settings/settings.h"

namespace penstock::engine {

class Library;
class SimulatedHall;
class Watch;

// What an operator is told of an engine. Without a word of where it is: health is open to all.
struct Health {
  std::string name;  // the engine's
  bool good = true;  // as penstock_engine_healthy says
  // Whether a question can be answered at all: false while documents are read for the first time.
  bool usable = true;
  std::string detail;  // what is wrong, or what is there
};

// The parts that all workers share: indexes of folders, queues of simulated engines, and what is
// known of each engine's health.
class Shared {
 public:
  Shared(observe::Registry& registry, observe::Log& log);
  ~Shared();

  // Makes what the settings need and is not there yet; keeps the rest. The error names the engine
  // and what is wrong with it (a folder that is missing). Any thread, one at a time.
  Result<void> open(const settings::Settings& settings);

  // A worker's engine. REQUIRES: open() succeeded with settings that hold it.
  std::shared_ptr<Engine> make(const settings::EngineSettings& settings, unsigned workers,
                               Loop& loop, observe::Shard& metrics);

  // What the engine of this name is told of its calls. REQUIRES: as make().
  VitalsPtr vitals(const std::string& engine) const;

  // Of every engine of the settings, in their order.
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
  bool usable(const Known& engine) const;
  void count_engine(const std::string& name);
  void count_model(const std::string& name);
  std::optional<double> healthy(const std::string& engine) const;
  std::optional<double> healthy_engines(const std::string& model) const;

  observe::Registry& registry_;
  observe::Log& log_;
  mutable std::mutex mutex_;  // never held while the registry is asked: a scrape comes from there
  std::vector<Known> known_;
  std::map<std::string, std::vector<std::string>> models_;       // by label: their engines
  std::map<std::string, VitalsPtr> vitals_;                      // by name, of former ones too
  std::set<std::string> counted_models_;                         // whose series there are
  std::map<std::string, std::shared_ptr<Library>> libraries_;    // by path
  std::map<std::string, std::shared_ptr<SimulatedHall>> halls_;  // by engine name
  std::map<std::string, std::shared_ptr<net::TlsClient>> tls_;   // by engine name
  std::unique_ptr<Watch> watch_;
};

}  // namespace penstock::engine
