// The settings of a start without a file.
#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "settings/budgets.h"
#include "settings/checks.h"
#include "settings/otel.h"
#include "settings/settings.h"
#include "settings/switches.h"
#include "settings/table.h"
#include "settings/text.h"

namespace penstock::settings {
namespace {

constexpr std::string_view kVendor = "https://api.openai.com/v1";

// A variable that is set and empty is as good as unset.
std::optional<std::string> given(const Environment& environment, const std::string& name) {
  std::optional<std::string> value = environment(name);
  if (value && value->empty()) return std::nullopt;
  return value;
}

// A value for the option at `path`, out of a variable or the command line.
std::optional<Value> take(std::string_view path, const std::string& text, const std::string& from,
                          Problems& problems) {
  const Key& key = *find(path);
  Result<Value, Fault> value = value_of(key, text);
  if (value && !text.empty()) return *std::move(value);
  Problem problem;
  problem.file = from;
  problem.message = refusal_of(key, text, false);
  if (!value && !value.error().reason.empty()) problem.message += ": " + value.error().reason;
  problem.expected = expected(key);
  problems.push_back(std::move(problem));
  return std::nullopt;
}

void take_port(const std::string& text, Settings& settings, Problems& problems) {
  const Result<Address, Fault> address = parse_address("127.0.0.1:" + text);
  if (address) {
    settings.listen.address = *address;
    // Whoever takes a free port does not want to find the other one taken.
    if (address->port == 0) settings.admin.address.port = 0;
    return;
  }
  Problem problem;
  problem.file = "PORT";
  problem.message = fmt::format("cannot be {}", shown(text));
  problem.expected = "a number from 0 to 65535";
  problems.push_back(std::move(problem));
}

EngineSettings remote(std::string name, std::string url) {
  EngineSettings engine;
  engine.name = std::move(name);
  engine.kind = EngineKind::openai;
  engine.url = std::move(url);
  return engine;
}

// A URL that is only a host means the usual place of the API there.
std::string with_usual_path(const std::string& url) {
  const std::size_t host = url.find("://") + 3;
  return url.find('/', host) == std::string::npos ? url + "/v1" : url;
}

bool is_folder(const std::string& path) {
  std::error_code ec;
  return std::filesystem::is_directory(path, ec);
}

// Where the key is for: as OpenAI's SDKs have it, OPENAI_BASE_URL or the vendor itself.
void add_vendor(const std::string& api_key, const std::optional<std::string>& base_url,
                Settings& settings, Problems& problems, std::vector<std::string>& warnings) {
  EngineSettings vendor = remote("openai", std::string(kVendor));
  if (auto key = take("engines[].api_key", api_key, "OPENAI_API_KEY", problems)) {
    vendor.api_key = std::get<std::string>(*std::move(key));
  }
  if (base_url && own_address(settings, *base_url)) {
    // Set for the applications beside the gateway.
    warnings.push_back(
        fmt::format("OPENAI_BASE_URL is where this gateway itself listens: it is for the "
                    "applications, and the engine is {}",
                    kVendor));
  } else if (base_url) {
    if (auto url = take("engines[].url", *base_url, "OPENAI_BASE_URL", problems)) {
      vendor.url = with_usual_path(std::get<std::string>(*std::move(url)));
    }
  }
  settings.engines.push_back(std::move(vendor));
}

void add_documents(const Overrides& overrides, Settings& settings) {
  EngineSettings handbook;
  handbook.name = "handbook";
  handbook.path = overrides.docs_dir.value_or("./docs");
  // What was asked for stays, so that its absence is told; what was not asked for may be away.
  if (settings.engines.empty() || overrides.docs_dir || is_folder(handbook.path)) {
    settings.engines.insert(settings.engines.begin(), std::move(handbook));
  }
}

}  // namespace

Result<Embedded, Problems> embedded_defaults(const Overrides& overrides,
                                             const Environment& environment) {
  Problems problems;
  std::vector<std::string> warnings;
  const auto settings = std::make_shared<Settings>();

  const std::optional<std::string> port = given(environment, "PORT");
  if (port) take_port(*port, *settings, problems);
  const std::optional<std::string> api_key = given(environment, "OPENAI_API_KEY");
  const std::optional<std::string> base_url = given(environment, "OPENAI_BASE_URL");
  if (overrides.engine_url) {
    if (auto url = take("engines[].url", *overrides.engine_url, "--engine", problems)) {
      settings->engines.push_back(
          remote("engine", with_usual_path(std::get<std::string>(*std::move(url)))));
    }
    if (api_key) {
      warnings.push_back(
          "OPENAI_API_KEY is set, but --engine says where to ask: the key is not "
          "used");
    }
  } else if (api_key) {
    add_vendor(*api_key, base_url, *settings, problems, warnings);
  } else if (base_url && !own_address(*settings, *base_url)) {
    warnings.push_back(
        "OPENAI_BASE_URL is set, but OPENAI_API_KEY is not: ignored; for an engine that wants no "
        "key take --engine");
  }
  add_documents(overrides, *settings);

  if (const auto url = given(environment, "DATABASE_URL")) {
    if (auto value = take("store.url", *url, "DATABASE_URL", problems)) {
      settings->store.url = std::get<std::string>(*std::move(value));
    }
  }
  if (const auto url = given(environment, "REDIS_URL")) {
    settings->cache.redis.urls = {*url};
  }
  settings->secret = given(environment, "PENSTOCK_SECRET").value_or("");
  struct Ignored {
    const char* name;
    std::string_view lacks;
  };
  constexpr std::array<Ignored, 1> kIgnored = {{
      {"ANTHROPIC_API_KEY", "engine for Anthropic's API"},
  }};
  for (const Ignored& ignored : kIgnored) {
    if (!given(environment, ignored.name)) continue;
    warnings.push_back(
        fmt::format("{} is set, but this version has no {}: ignored", ignored.name, ignored.lacks));
  }

  for (std::string& warning : switch_warnings(environment)) warnings.push_back(std::move(warning));
  for (std::string& warning : otel_warnings(environment)) warnings.push_back(std::move(warning));

  complete(*settings, false);
  complete_budgets(*settings, false);
  apply_switches(environment, *settings, problems);
  apply_otel(environment, *settings, [](std::string_view) { return false; });
  Report report("the command line");
  check(*settings, report);
  for (Problem& problem : report.take()) {
    problem.line = problem.column = 0;
    if (problem.path == "listen.address" && port) {
      problem.file = "PORT";
      problem.path.clear();
      problem.expected = "another port";
    } else if (problem.path == "cache.redis.urls[0]") {
      problem.file = "REDIS_URL";
      problem.path.clear();
    } else if (problem.path ==
               "engines[" + std::to_string(settings->engines.size() - 1) + "].url") {
      problem.file = "--engine";
      problem.path.clear();
      problem.expected = "the engine's own URL, or another PORT for this gateway";
    }
    problems.push_back(std::move(problem));
  }
  if (!problems.empty()) return problems;
  return Embedded{settings, std::move(warnings)};
}

}  // namespace penstock::settings
