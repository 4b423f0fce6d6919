// `penstock trace`: the last requests of a running gateway, and one of them step by step.
#pragma once

#include <optional>
#include <string>

#include "app/admin_options.h"

namespace penstock::app {

struct TraceOptions : AdminChoice {
  std::string id;  // empty: the last requests are listed
  std::string format = "table";
  // Of the list.
  bool failed = false;
  std::optional<std::string> slow;
  std::string limit = "20";
};

// 1 where the gateway cannot be reached, refuses, or has no such request any more; 2 where an
// option means nothing.
int trace_command(const TraceOptions& options);
void add_trace_options(CLI::App& app, TraceOptions& options);

// What the admin API says of one request (GET /admin/v1/traces/{id}), as a waterfall; nothing where
// it is not what such a listener says.
std::optional<std::string> waterfall(const std::string& json);

}  // namespace penstock::app
