// The program's commands, one function each. They return the program's exit code.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "load/load.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's own name
class App;
}

namespace penstock::app {

// Behind the message of a command that found no gateway.
inline constexpr const char* kNobodyThere =
    "\nIs a gateway running there? `penstock serve` starts one.";

// `penstock check FILE`: every problem and their count to `err` and 2, or what the file is to
// `out` and 0.
int check_command(const std::string& file, std::FILE* out, std::FILE* err);

// `penstock settings [--schema]`: the reference of all settings, or their JSON Schema, to
// standard output; 1 where that cannot be written.
int settings_command(bool schema);

// `penstock metrics`: the reference of all metrics to standard output; 1 where that cannot be
// written.
int metrics_command();

// `penstock errors [CODE]`: docs/errors.md, or what is there of one code, to standard output; 2
// where there is no such code.
int errors_command(const std::string& code);

// `penstock load`: a table to standard output (standard error where JSON goes there); 1 when any
// request failed or none could be sent, 2 when an option means nothing.
int load_command(const load::Options& options);
void add_load_options(CLI::App& app, load::Options& options);

struct AskOptions {
  std::string question;
  std::string url = "http://127.0.0.1:8080";
  std::string model;    // empty: the first that the gateway lists
  std::string api_key;  // empty: none is sent
  bool plain = false;   // the answer in one piece
};

// `penstock ask`: the answer to standard output, then one line of facts to standard error; 1 when
// the gateway cannot be reached or refuses.
int ask_command(const AskOptions& options);
void add_ask_options(CLI::App& app, AskOptions& options);

struct ComplexityOptions {
  std::string file;
  std::optional<std::string> question;
  std::string format = "table";
};

// `penstock complexity`: to standard output; 2 when an option means nothing or the file is none of
// requests.
int complexity_command(const ComplexityOptions& options);
void add_complexity_options(CLI::App& app, ComplexityOptions& options);

struct EngineOptions {
  std::string listen = "127.0.0.1:9000";
  unsigned workers = 1;
  std::vector<std::string> models;
  std::size_t answer_bytes = 0;
  std::string first_token = "200ms";
  std::string errors = "0%";
  std::string stalls = "0%";
  std::string disconnects = "0%";
  std::string rate_limited = "0%";
  std::uint64_t seed = 1;
  double sigma = 0.4;
  double tokens_per_second = 50;
  std::uint32_t tokens = 200;
  std::uint32_t slots = 64;
  std::uint32_t queue = 256;
  std::string api_key;  // empty: none is asked for
};

// `penstock engine`: prints `listening on http://ADDRESS/v1` and runs until SIGTERM or SIGINT.
int engine_command(const EngineOptions& options);
void add_engine_options(CLI::App& app, EngineOptions& options);

}  // namespace penstock::app
