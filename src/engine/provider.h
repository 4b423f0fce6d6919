// Whose API an engine is, as OpenTelemetry's conventions name it.
#pragma once

#include <string>

#include "settings/settings.h"

namespace penstock::engine {

// gen_ai.provider.name.
std::string provider_of(const settings::EngineSettings& engine);

}  // namespace penstock::engine
