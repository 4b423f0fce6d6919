// Completion of command lines, written from their description.
#pragma once

#include <string>

#include "app/command_line.h"

namespace penstock::app {

// A script for bash; it needs nothing but bash itself.
std::string bash_completion(const CommandLine& line);

}  // namespace penstock::app
