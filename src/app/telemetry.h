// The export of traces: the backend that the settings name, its library, and what the metrics and
// the log tell of it.
#pragma once

#include <memory>

#include "gateway/gateway.h"
#include "settings/settings.h"
#include "trace/exporter.h"

namespace penstock::app {

class Telemetry {
 public:
  // Begins where an endpoint is set; before there are workers.
  Telemetry(gateway::House& house, observe::Registry& registry, observe::Log& log,
            const settings::Settings& settings);
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;
  ~Telemetry();

  void configure(const settings::Settings& settings);
  // When no request will end any more. False: what sends could not be ended, and the program must
  // end without taking its memory down (std::_Exit).
  bool end();

 private:
  std::unique_ptr<trace::Exporter> exporter_;  // null: nothing is sent
  trace::Tracer& tracer_;
};

// What spans of a call to this engine say of it.
trace::EngineFacts facts_of(const settings::EngineSettings& engine);

}  // namespace penstock::app
