#include "app/store_access.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>

#include "app/exit_codes.h"
#include "app/shown.h"
#include "app/stores.h"

namespace penstock::app {
namespace {

// The settings that `serve` would have; null, and said, where there are none.
settings::SettingsPtr read_settings(const std::string& command, const StoreChoice& choice) {
  const auto tell = [&](const settings::Problems& problems) -> settings::SettingsPtr {
    for (const settings::Problem& problem : problems) {
      fmt::print(stderr, "{}: {}\n", command, settings::to_string(problem));
    }
    return nullptr;
  };
  const settings::Environment environment = settings::process_environment();
  if (!choice.config.empty()) {
    auto loaded = settings::load_file(choice.config, environment);
    return loaded ? *std::move(loaded) : tell(loaded.error().problems);
  }
  // Of an engine, so that the folder of documents need not be there: neither is asked.
  settings::Overrides overrides;
  overrides.engine_url = "http://127.0.0.1/v1";
  auto embedded = settings::embedded_defaults(overrides, environment);
  return embedded ? embedded->settings : tell(embedded.error());
}

// Of an URL of SQLite.
std::optional<std::string> sqlite_file(std::string_view url) {
  constexpr std::string_view kScheme = "sqlite:";
  if (!url.starts_with(kScheme)) return std::nullopt;
  return std::string(url.substr(kScheme.size()));
}

}  // namespace

void add_store_options(CLI::App& app, StoreChoice& choice) {
  app.add_option("--config", choice.config,
                 "The configuration that names the database; without it as for `serve`")
      ->type_name("FILE");
  app.add_option("--store", choice.store,
                 "The database, whatever the configuration says: sqlite:FILE or postgresql://...")
      ->type_name("URL");
}

OpenStore::OpenStore()
    : log_([] {
        observe::LogOptions options;
        options.level = observe::Level::error;
        return options;
      }()),
      registry_(1) {}

std::unique_ptr<OpenStore> OpenStore::open(const std::string& command, const StoreChoice& choice,
                                           Tables tables, int& code) {
  std::unique_ptr<OpenStore> opened(new OpenStore());
  opened->settings_ = read_settings(command, choice);
  if (opened->settings_ == nullptr) {
    code = kBadUsage;
    return nullptr;
  }
  store::Options options = store_options(*opened->settings_);
  if (!choice.store.empty()) {
    options.url = choice.store;
    options.replicas.clear();
  }
  // To open it would make it, and there is nothing to be read in one that was made just now.
  const auto file = sqlite_file(options.url);
  if (tables == Tables::need && file && !std::filesystem::exists(*file)) {
    fmt::print(stderr,
               "{}: there is no database {} yet; `penstock serve` makes it. `store.url` in the "
               "configuration, or --store, says where it is\n",
               command, visible(*file));
    code = kFailed;
    return nullptr;
  }
  Result<std::unique_ptr<store::Database>> database =
      store::open(options, opened->registry_, opened->log_);
  if (!database) {
    code = store_failed(command, database.error());
    return nullptr;
  }
  opened->database_ = *std::move(database);
  if (tables != Tables::bring) return opened;
  store::Database& of = *opened->database_;
  const Result<int> migrated =
      store::wait(kStorePatience, [&](Deadline& d) { return store::migrate(of, d); });
  if (!migrated) {
    code = store_failed(command, migrated.error());
    return nullptr;
  }
  return opened;
}

std::unique_ptr<access::Office> OpenStore::office(const std::string& command) {
  std::string secret = settings_->secret;
  if (secret.empty()) {
    Result<std::string> kept =
        store::wait(kStorePatience, [&](Deadline& d) { return access::secret_of(*database_, d); });
    if (!kept) {
      store_failed(command, kept.error());
      return nullptr;
    }
    secret = *std::move(kept);
  }
  const settings::SettingsPtr settings = settings_;
  return std::make_unique<access::Office>(
      *database_, std::move(secret), [settings](std::string_view name) {
        return std::any_of(settings->tenants.begin(), settings->tenants.end(),
                           [&](const settings::Tenant& tenant) { return tenant.name == name; });
      });
}

access::Actor command_actor() {
  const uid_t id = ::geteuid();
  const passwd* const user = ::getpwuid(id);
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return {"user " + (user != nullptr ? std::string(user->pw_name) : std::to_string(id)),
          host.data()};
}

int store_failed(const std::string& command, const Error& error) {
  std::string cure;
  switch (error.kind) {
    case Kind::unreachable:
    case Kind::timeout:
      cure =
          "\nDoes the database run there? `store.url` in the configuration, or --store, says "
          "where.";
      break;
    default: break;
  }
  fmt::print(stderr, "{}: {}{}\n", command, visible(error.detail), cure);
  return error.kind == Kind::invalid ? kBadUsage : kFailed;
}

}  // namespace penstock::app
