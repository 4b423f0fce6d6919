// `penstock serve`: the program at work. Wires the house together, obeys signals, reloads, drains.
#pragma once

#include <optional>
#include <string>

namespace penstock::app {

struct ServeOptions {
  std::string config;                     // a file; empty: embedded defaults
  std::optional<std::string> docs;        // --docs DIR
  std::optional<std::string> engine_url;  // --engine URL
};

int serve_command(const ServeOptions& options);

}  // namespace penstock::app
