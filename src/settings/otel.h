// OpenTelemetry's variables
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/), as far as
// they are about traces, and whether there are metrics under the names of generative AI. What the
// file says wins over them.
//
// A value that cannot be read is told of and ignored, as the specification asks: what a platform
// sets for all its programs must not keep one of them from starting.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "settings/settings.h"

namespace penstock::settings {

// Fills in `settings.tracing` and `settings.metrics.gen_ai`. `given`: whether the file says
// something at a path.
void apply_otel(const Environment& environment, Settings& settings,
                const std::function<bool(std::string_view path)>& given);

// To be logged at start: what is not understood of the variables that are set.
std::vector<std::string> otel_warnings(const Environment& environment);

}  // namespace penstock::settings
