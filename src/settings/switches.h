// The rollback switches of the environment. They are read at every start and reload, and win over
// the file. What they turn off is in part still to come: nobody may believe that a switch was set
// which does nothing.
#pragma once

#include <string>
#include <vector>

#include "settings/settings.h"

namespace penstock::settings {

// CACHING_ENABLED, REDIS_CACHING_ENABLED, PROMETHEUS_METRICS_ENABLED and
// OPENTELEMETRY_TRACING_ENABLED, whatever the file says of `features`.
void apply_switches(const Environment& environment, Settings& settings, Problems& problems);

// To be logged at start, with a file or without: what this version cannot honour of the switches
// that are set to another value than their default.
std::vector<std::string> switch_warnings(const Environment& environment);

}  // namespace penstock::settings
