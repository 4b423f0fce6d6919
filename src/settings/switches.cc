#include "settings/switches.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "settings/text.h"
#include "settings/values.h"

namespace penstock::settings {
namespace {

struct Switch {
  const char* name;
  bool Features::*feature;
};
constexpr std::array<Switch, 4> kSwitches = {{
    {"CACHING_ENABLED", &Features::caching},
    {"REDIS_CACHING_ENABLED", &Features::redis_caching},
    {"PROMETHEUS_METRICS_ENABLED", &Features::prometheus_metrics},
    {"OPENTELEMETRY_TRACING_ENABLED", &Features::opentelemetry_tracing},
}};

struct Ignored {
  const char* name;
  std::string_view instead;
};
constexpr std::array<Ignored, 1> kIgnored = {{
    {"PERFORMANCE_OPTIMIZATION_ENABLED",
     "ignored; `cache.coalesce: false` stops equal questions from sharing a call"},
}};

// In any letter case, as deployments write it: FALSE, True. Set and empty is as good as unset.
std::optional<std::string> given(const Environment& environment, const char* name) {
  std::optional<std::string> value = environment(name);
  if (!value || value->empty()) return std::nullopt;
  for (char& c : *value) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return value;
}

}  // namespace

void apply_switches(const Environment& environment, Settings& settings, Problems& problems) {
  for (const Switch& one : kSwitches) {
    const std::optional<std::string> value = given(environment, one.name);
    if (!value) continue;
    const Result<bool, Fault> on = parse_boolean(*value);
    if (!on) {
      Problem problem;
      problem.file = one.name;
      problem.message = fmt::format("cannot be {}", shown(*value));
      problem.expected = "true or false";
      problems.push_back(std::move(problem));
    } else {
      settings.features.*one.feature = *on;
    }
  }
}

std::vector<std::string> switch_warnings(const Environment& environment) {
  std::vector<std::string> warnings;
  for (const Ignored& ignored : kIgnored) {
    const std::optional<std::string> value = given(environment, ignored.name);
    if (!value || *value == "true") continue;
    warnings.push_back(fmt::format("{} is set, but this version has no such switch: {}",
                                   ignored.name, ignored.instead));
  }
  return warnings;
}

}  // namespace penstock::settings
