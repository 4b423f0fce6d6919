#include "settings/switches.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "settings/text.h"
#include "settings/values.h"

namespace penstock::settings {
namespace {

constexpr const char* kCaching = "CACHING_ENABLED";

struct Ignored {
  const char* name;
  std::string_view instead;
};
constexpr std::array<Ignored, 4> kIgnored = {{
    {"PERFORMANCE_OPTIMIZATION_ENABLED",
     "ignored; `cache.coalesce: false` stops equal questions from sharing a call"},
    {"REDIS_CACHING_ENABLED", "there is no Redis level to turn off"},
    {"PROMETHEUS_METRICS_ENABLED", "ignored; the metrics stay on the admin listener"},
    {"OPENTELEMETRY_TRACING_ENABLED", "there is no tracing to turn off"},
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
  const std::optional<std::string> value = given(environment, kCaching);
  if (!value) return;
  const Result<bool, Fault> on = parse_boolean(*value);
  if (!on) {
    Problem problem;
    problem.file = kCaching;
    problem.message = fmt::format("cannot be {}", shown(*value));
    problem.expected = "true or false";
    problems.push_back(std::move(problem));
  } else if (!*on) {
    settings.cache.answers = CacheAnswers::off;
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
