#include "settings/settings.h"

#include <algorithm>
#include <cstdlib>

#include "settings/budgets.h"
#include "settings/checks.h"
#include "settings/document.h"
#include "settings/files.h"
#include "settings/otel.h"
#include "settings/reader.h"
#include "settings/report.h"
#include "settings/switches.h"

namespace penstock::settings {
namespace {

// Header names are compared and sent in lower case.
void normalise(Settings& settings) {
  for (EngineSettings& engine : settings.engines) {
    for (NamedValue& header : engine.headers) {
      for (char& c : header.name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      }
    }
  }
}

// `files`: also looks whether the files are there that the settings name.
Result<SettingsPtr, Problems> read(std::string_view yaml, std::string_view file_name,
                                   const Environment& environment, bool files) {
  Report report(file_name);
  const auto settings = std::make_shared<Settings>();
  if (const std::optional<Node> document = read_document(yaml, report)) {
    read_settings(*document, environment, *settings, report);
    normalise(*settings);
    // A list that is there and empty is a mistake; one that is not there has its defaults.
    if (!report.given("engines") || !settings->engines.empty()) {
      complete(*settings, report.given("cache.memory.max_entry"));
    }
    if (!report.given("secret")) settings->secret = environment("PENSTOCK_SECRET").value_or("");
    complete_budgets(*settings, report.given("budgets"));
    check(*settings, report);
    if (files) check_files(*settings, report);
  }
  Problems problems = report.take();
  apply_switches(environment, *settings, problems);
  apply_otel(environment, *settings,
             [&](std::string_view path) { return report.given(std::string(path)); });
  if (!problems.empty()) return problems;
  return SettingsPtr(settings);
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

Result<SettingsPtr, Problems> parse(std::string_view yaml, std::string_view file_name,
                                    const Environment& environment) {
  return read(yaml, file_name, environment, false);
}

Result<SettingsPtr, LoadFailure> load_file(const std::string& path,
                                           const Environment& environment) {
  FileText file = read_file(path, kLargestFile);
  if (!file.error.empty()) {
    Problem problem;
    problem.file = path;
    problem.message = (file.too_large ? "" : "cannot be read: ") + file.error;
    return LoadFailure{!file.too_large, {std::move(problem)}};
  }
  Result<SettingsPtr, Problems> settings = read(file.text, path, environment, true);
  if (!settings) return LoadFailure{false, std::move(settings).error()};
  return *std::move(settings);
}

}  // namespace penstock::settings
