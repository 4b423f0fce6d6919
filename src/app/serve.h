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

// Exit codes of every command.
inline constexpr int kGood = 0;
inline constexpr int kFailed = 1;    // it did not work: a port is taken, an engine is away
inline constexpr int kBadUsage = 2;  // the command line or the configuration is wrong

int serve_command(const ServeOptions& options);

}  // namespace penstock::app
