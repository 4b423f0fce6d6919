// The database as commands use it: the one that the configuration names, opened for as long as the
// command takes.
#pragma once

#include <memory>
#include <string>

#include "access/office.h"
#include "observe/log.h"
#include "observe/metrics.h"
#include "settings/settings.h"
#include "store/database.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's own name
class App;
}

namespace penstock::app {

struct StoreChoice {
  std::string config;  // --config; empty: as `serve` without one
  std::string store;   // --store: this one, whatever the configuration says
};
void add_store_options(CLI::App& app, StoreChoice& choice);

// What a command does with the tables before it begins.
enum class Tables : std::uint8_t {
  bring,  // to this version
  leave,  // as they are
  need,   // as they are; a file that is not there is an error, and is not made
};

class OpenStore {
 public:
  // Says on standard error what is in the way; `code` is the exit code then.
  static std::unique_ptr<OpenStore> open(const std::string& command, const StoreChoice& choice,
                                         Tables tables, int& code);

  store::Database& database() { return *database_; }
  const settings::Settings& settings() const { return *settings_; }
  // Null, and said on standard error, where the secret cannot be had.
  std::unique_ptr<access::Office> office(const std::string& command);

 private:
  OpenStore();

  settings::SettingsPtr settings_;
  observe::Log log_;
  observe::Registry registry_;
  std::unique_ptr<store::Database> database_;
};

// How long a command waits for the database.
inline constexpr Duration kStorePatience = 15s;

// The one who gave the command, for the audit log.
access::Actor command_actor();

// Says what went wrong with the database or was refused, with a cure where there is one; the exit
// code.
int store_failed(const std::string& command, const Error& error);

}  // namespace penstock::app
