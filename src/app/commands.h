// The program's commands, one function each. They return the program's exit code.
#pragma once

#include <cstdio>
#include <string>

#include "load/load.h"

namespace CLI {
class App;
}

namespace penstock::app {

// `penstock check FILE`: every problem and their count to `err` and 1, or what the file is to
// `out` and 0; 2 where it cannot be read.
int check_command(const std::string& file, std::FILE* out, std::FILE* err);

// `penstock settings [--schema]`: the reference of all settings, or their JSON Schema, to
// standard output; 1 where that cannot be written.
int settings_command(bool schema);

// `penstock load`: a table to standard output (standard error where JSON goes there); 1 when any
// request failed or none could be sent, 2 when an option means nothing.
int load_command(const load::Options& options);
void add_load_options(CLI::App& app, load::Options& options);

}  // namespace penstock::app
