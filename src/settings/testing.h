// What the tests of settings share.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "settings/settings.h"

namespace penstock::settings {

inline Environment variables(std::map<std::string, std::string> values = {}) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

// The problems of a file named "f", one line each; empty where it is good.
inline std::vector<std::string> problems_of(std::string_view yaml,
                                            const Environment& environment = variables()) {
  const Result<SettingsPtr, Problems> parsed = parse(yaml, "f", environment);
  std::vector<std::string> lines;
  if (!parsed) {
    for (const Problem& problem : parsed.error()) lines.push_back(to_string(problem));
  }
  return lines;
}

}  // namespace penstock::settings
