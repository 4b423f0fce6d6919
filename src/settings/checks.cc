#include "settings/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <unordered_map>

#include "settings/budgets.h"
#include "settings/files.h"
#include "settings/table.h"
#include "settings/text.h"

namespace penstock::settings {
namespace {

constexpr std::string_view kEveryName = "*";

std::string element(std::string_view list, std::size_t index) {
  return fmt::format("{}[{}]", list, index);
}

void check_encodings(const Settings& settings, Report& report) {
  constexpr std::array<std::string_view, 3> kKnown = {"zstd", "br", "gzip"};
  const std::vector<std::string>& encodings = settings.listen.compression.encodings;
  for (std::size_t i = 0; i < encodings.size(); ++i) {
    if (std::find(kKnown.begin(), kKnown.end(), encodings[i]) != kKnown.end()) continue;
    report.add_at_value(
        element("listen.compression.encodings", i),
        {fmt::format("\"{}\" is no encoding of answers", encodings[i]), "zstd, br or gzip"});
  }
}

void check_addresses(const Settings& settings, Report& report) {
  const Listen& listen = settings.listen;
  const Admin& admin = settings.admin;
  if (!listen.address.loopback() && settings.auth.mode == AuthMode::none &&
      !settings.auth.allow_anonymous && !report.faulty("listen.address") &&
      !report.faulty("auth")) {
    report.add_at_value("listen.address",
                        {"not a loopback address, and auth.mode is none: anyone who reaches it "
                         "could ask",
                         "127.0.0.1, or auth.allow_anonymous: true to allow it"});
  }
  if (!admin.address.loopback() && admin.token.empty() && !report.faulty("admin")) {
    report.add_at_value("admin.address", {"not a loopback address, and admin.token is not set",
                                          "127.0.0.1, or an admin.token"});
  }
  if (listen.address == admin.address && listen.address.port != 0) {
    report.add_at_value(
        report.given("admin.address") ? "admin.address" : "listen.address",
        {fmt::format("listen.address and admin.address are both {}", to_string(admin.address))});
  }
}

// What is in an engine's reach in place of an option that is for another kind.
std::string_view instead_of(const Key& key) {
  if (key.parent() == "engines[].timeout") return "timeout.total, which engines of every kind have";
  return {};
}

// The table's keys of engines that this engine's kind does not have.
void check_kind(const EngineSettings& engine, const std::string& path, Report& report) {
  constexpr std::string_view kEngine = "engines[]";
  const Key& kind = *find("engines[].kind");
  if (!report.given(path + ".kind") || report.faulty(path + ".kind")) return;
  for (const Key& key : table()) {
    if (key.kinds == 0 || (key.kinds & only(engine.kind)) != 0) continue;
    // A section that is of one kind speaks for what is in it.
    const Key* const around = find(key.parent());
    if (around != nullptr && around->kinds == key.kinds) continue;
    const std::string inner = path + std::string(key.path.substr(kEngine.size()));
    if (!report.given(inner)) continue;
    for (std::size_t i = 0; i < kind.words.size(); ++i) {
      if (key.kinds != only(static_cast<EngineKind>(i))) continue;
      report.add_at_key(inner, {fmt::format("is for engines of kind {}; this one is of kind {}",
                                            kind.words[i].name,
                                            kind.words[static_cast<std::size_t>(engine.kind)].name),
                                std::string(instead_of(key))});
    }
  }
}

bool header_name(std::string_view name) {
  return !name.empty() && name.find_first_not_of(
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                              "!#$%&'*+-.^_`|~") == name.npos;
}

void check_headers(const EngineSettings& engine, const std::string& path, Report& report) {
  // Fields that the gateway writes itself, or that say where a message ends.
  constexpr std::array<std::string_view, 10> kOwn = {
      "connection", "content-length", "content-type", "expect",           "host", "keep-alive",
      "te",         "trailer",        "upgrade",      "transfer-encoding"};
  for (std::size_t i = 0; i < engine.headers.size(); ++i) {
    const std::string& name = engine.headers[i].name;
    const std::string inner = fmt::format("{}.headers.{}", path, name);
    const auto same = [&](const NamedValue& other) { return other.name == name; };
    const auto before = engine.headers.begin() + static_cast<std::ptrdiff_t>(i);
    if (!header_name(name)) {
      // What stands behind a ":" may be the value.
      const std::string shown_name = name.substr(0, name.find(':'));
      report.add_at_key(fmt::format("{}.headers.{}", path, shown_name),
                        {"no name that a header field can have"});
    } else if (std::find(kOwn.begin(), kOwn.end(), name) != kOwn.end()) {
      report.add_at_key(inner, {"is written by the gateway itself"});
    } else if (std::any_of(engine.headers.begin(), before, same)) {
      report.add_at_key(inner, {"stands twice: header names have no letter case"});
    }
  }
}

void check_engine(const Settings& settings, const EngineSettings& engine, const std::string& path,
                  Report& report) {
  check_kind(engine, path, report);
  check_headers(engine, path, report);
  if (report.faulty(path + ".kind")) return;
  if (engine.kind == EngineKind::documents && engine.path.empty() &&
      !report.faulty(path + ".path")) {
    report.add_at_value(path, {"`path` is missing", "the folder of documents"});
  }
  if (engine.kind == EngineKind::openai && engine.url.empty() && !report.faulty(path + ".url")) {
    report.add_at_value(path, {"`url` is missing", expected(*find("engines[].url"))});
  }
  const std::string& asked = engine.health.path;
  if (!asked.empty() && !asked.starts_with('/') && !report.faulty(path + ".health.path")) {
    report.add_at_value(path + ".health.path",
                        {"does not begin with `/`", "a path from the origin on, such as /ready"});
  }
  if (own_address(settings, engine.url) && !report.faulty(path + ".url")) {
    report.add_at_value(path + ".url", {fmt::format("is where this gateway itself listens ({}): it "
                                                    "would ask itself",
                                                    to_string(settings.listen.address)),
                                        "the engine's own URL, or another listen.address"});
  }
  const EngineSettings::Simulated& fates = engine.simulated;
  // A little more: shares that add up to 100% need not do so in doubles.
  if (fates.errors + fates.stalls + fates.disconnects + fates.rate_limited > 1 + 1e-9) {
    report.add_at_value(path + ".simulated",
                        {"errors, stalls, disconnects and rate_limited are over 100% together"});
  }
}

void check_engines(const Settings& settings, Report& report) {
  if (settings.engines.empty()) {
    report.add_at_value("engines",
                        {"has no element", "at least one engine, or no `engines` at all"});
  }
  std::unordered_map<std::string_view, std::size_t> names;
  for (std::size_t i = 0; i < settings.engines.size(); ++i) {
    const EngineSettings& engine = settings.engines[i];
    const std::string path = element("engines", i);
    if (!report.given(path + ".kind") && report.faulty(path)) continue;
    check_engine(settings, engine, path, report);
    if (engine.name.empty()) continue;
    if (const auto [first, is_new] = names.emplace(engine.name, i); !is_new) {
      report.add_at_value(path + ".name", {fmt::format("{} is the name of {} too",
                                                       report.named(path + ".name", engine.name),
                                                       element("engines", first->second))});
    }
  }
}

void check_model_engine(const Settings& settings, const ModelSettings& model,
                        const std::string& path, Report& report) {
  const std::string at = path + ".engines";
  if (report.faulty(at) || !report.given(at)) return;
  if (model.engines.empty()) {
    report.add_at_value(at, {"names no engine", "the name of one engine, in a list"});
    return;
  }
  if (model.engines.size() > 1) {
    report.add_at_value(at, {"not in this version: several engines for one model are still to "
                             "come",
                             "the name of one engine, in a list"});
    return;
  }
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < settings.engines.size(); ++i) {
    // Whether an engine whose own name is wrong is meant cannot be known.
    if (settings.engines[i].name.empty()) return;
    names.push_back(settings.engines[i].name);
  }
  const std::string& wanted = model.engines.front();
  if (std::find(names.begin(), names.end(), wanted) != names.end()) return;
  report.add_at_value(at + "[0]",
                      {fmt::format("no engine is named {}", report.named(at + "[0]", wanted)),
                       either(names), std::string(nearest(wanted, names).value_or(""))});
}

void check_models(const Settings& settings, Report& report) {
  std::unordered_map<std::string_view, std::string> names;
  const auto claim = [&](std::string_view name, const std::string& path) {
    if (name.empty()) return;
    if (const auto [first, is_new] = names.emplace(name, path); !is_new) {
      report.add_at_value(
          path, {fmt::format("{} stands in {} too", report.named(path, name), first->second)});
    }
  };
  for (std::size_t i = 0; i < settings.models.size(); ++i) {
    const ModelSettings& model = settings.models[i];
    const std::string path = element("models", i);
    check_model_engine(settings, model, path, report);
    claim(model.name, path + ".name");
    for (std::size_t j = 0; j < model.aliases.size(); ++j) {
      const std::string alias = fmt::format("{}.aliases[{}]", path, j);
      if (model.aliases[j] == kEveryName) {
        report.add_at_value(alias, {"`*` is a name of its own, no alias"});
      } else {
        claim(model.aliases[j], alias);
      }
    }
    if (model.name != kEveryName) continue;
    constexpr std::string_view kNoMeaning = "has no meaning for `*`, which passes every name on";
    if (!model.upstream_name.empty()) {
      report.add_at_key(path + ".upstream_name", {std::string(kNoMeaning)});
    }
    if (!model.aliases.empty()) report.add_at_key(path + ".aliases", {std::string(kNoMeaning)});
  }
}

void check_semantic(const Settings& settings, Report& report) {
  const Cache::Semantic& semantic = settings.cache.semantic;
  const std::string at = "cache.semantic.embedding_model";
  if (!semantic.enabled || report.faulty(at) || report.faulty("models")) return;
  if (semantic.embedding_model.empty()) {
    report.add_at_value(report.given(at) ? at : "cache.semantic.enabled",
                        {"the semantic level needs cache.semantic.embedding_model",
                         "the name of a model that makes embeddings"});
    return;
  }
  std::vector<std::string_view> names;
  for (const ModelSettings& model : settings.models) {
    if (model.name == kEveryName) return;  // its engine is asked for every name
    names.push_back(model.name);
    names.insert(names.end(), model.aliases.begin(), model.aliases.end());
  }
  if (std::find(names.begin(), names.end(), semantic.embedding_model) != names.end()) return;
  report.add_at_value(
      at, {fmt::format("there is no model {}", report.named(at, semantic.embedding_model)),
           either(names), std::string(nearest(semantic.embedding_model, names).value_or(""))});
}

}  // namespace

void complete(Settings& settings, bool entry_given) {
  Cache::Memory& memory = settings.cache.memory;
  if (!entry_given) memory.max_entry = std::min(memory.max_entry, memory.size);
  if (settings.engines.empty()) {
    EngineSettings handbook;
    handbook.name = "handbook";
    handbook.path = "./docs";
    settings.engines.push_back(std::move(handbook));
  }
  if (!settings.models.empty()) return;
  for (const EngineSettings& engine : settings.engines) {
    const bool documents = engine.kind == EngineKind::documents;
    ModelSettings model;
    model.name = documents ? engine.name : std::string(kEveryName);
    model.engines = {engine.name};
    settings.models.push_back(std::move(model));
  }
}

bool own_address(const Settings& settings, std::string_view url) {
  const Address& own = settings.listen.address;
  constexpr std::string_view kScheme = "http://";
  if (own.port == 0 || !url.starts_with(kScheme)) return false;
  url.remove_prefix(kScheme.size());
  const Result<Address, Fault> its = parse_address(url.substr(0, url.find('/')));
  if (!its || its->port != own.port) return false;
  const bool everywhere = own.host == "0.0.0.0" || own.host == "::";
  return its->host == own.host || (everywhere && its->loopback());
}

void check(const Settings& settings, Report& report) {
  check_addresses(settings, report);
  check_encodings(settings, report);
  check_engines(settings, report);
  if (report.given("models")) {
    check_models(settings, report);
  } else if (std::count_if(settings.models.begin(), settings.models.end(),
                           [](const auto& model) { return model.name == kEveryName; }) > 1) {
    report.add_at_key("engines", {"several of these would take every name: say which `models` "
                                  "they answer as"});
  }
  check_access(settings, report);
  check_semantic(settings, report);
  check_budgets(settings, report);
  if (settings.cache.memory.max_entry > settings.cache.memory.size &&
      !report.faulty("cache.memory")) {
    report.add_at_value("cache.memory.max_entry", {"is larger than cache.memory.size"});
  }
}

void check_files(const Settings& settings, Report& report) {
  constexpr std::size_t kLargest = 16u << 20;
  for (std::size_t i = 0; i < settings.engines.size(); ++i) {
    const EngineSettings& engine = settings.engines[i];
    const std::string path = element("engines", i);
    const std::string folder = path + ".path";
    if (engine.kind == EngineKind::documents && report.given(folder) && !engine.path.empty() &&
        !report.faulty(folder)) {
      std::error_code ec;
      const std::filesystem::directory_iterator look(engine.path, ec);
      if (ec) {
        report.add_at_value(folder, {fmt::format("the folder {} cannot be read: {}",
                                                 report.named(folder, engine.path), ec.message())});
      }
    }
    const std::string ca = path + ".tls.ca";
    if (engine.tls.ca.empty() || report.faulty(ca)) continue;
    if (const FileText file = read_file(engine.tls.ca, kLargest); !file.error.empty()) {
      report.add_at_value(ca, {fmt::format("the file {} cannot be read: {}",
                                           report.named(ca, engine.tls.ca), file.error)});
    }
  }
}

}  // namespace penstock::settings
