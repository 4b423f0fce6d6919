// `penstock usage [engagement]`: what was used, read from the database, beside a running gateway.
#pragma once

#include <optional>
#include <string>

#include "app/store_access.h"

namespace penstock::app {

struct UsageOptions {
  std::string what;  // "engagement"; empty: usage
  std::string by = "model";
  std::optional<std::string> since, until;
  bool today = false;
  bool month = false;
  std::optional<std::string> tenant, key, model, engine, route, status, cache;
  bool percentiles = false;
  std::string format = "table";
  StoreChoice where;
};

// To standard output. 1 where the database is away or there is none yet, 2 where an option means
// nothing.
int usage_command(const UsageOptions& options);
void add_usage_options(CLI::App& app, UsageOptions& options);

}  // namespace penstock::app
