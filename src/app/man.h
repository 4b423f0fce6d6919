// The man page, written from the description of the command line.
#pragma once

#include <string>

#include "app/command_line.h"

namespace penstock::app {

// In roff, with the man macros.
std::string man_page(const CommandLine& line);

}  // namespace penstock::app
