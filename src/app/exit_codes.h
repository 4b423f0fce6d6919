// What the program ends with. One table: help, the man page and docs/commands.md tell it.
#pragma once

#include <array>
#include <string_view>

namespace penstock::app {

inline constexpr int kGood = 0;
inline constexpr int kFailed = 1;
inline constexpr int kBadUsage = 2;

struct ExitCode {
  int code;
  std::string_view in_short;
  std::string_view meaning;
};

inline constexpr std::array<ExitCode, 3> kExitCodes = {{
    {kGood, "it went well",
     "it went well; `serve`, `engine` and `load` also where they were told to end and ended in "
     "order"},
    {kFailed, "it failed",
     "it failed: a port is taken, a folder is missing, a gateway is away or refuses, requests of a "
     "load failed, or the output cannot be written"},
    {kBadUsage, "the command line or the configuration is wrong",
     "it was asked wrongly: the command line or the configuration means nothing, `check` found "
     "errors, or a file that was named cannot be read"},
}};

}  // namespace penstock::app
