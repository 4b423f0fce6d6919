// `penstock profile`: where a running gateway's processor time or memory goes.
#pragma once

#include <string>

#include "app/admin_options.h"

namespace penstock::app {

struct ProfileOptions : AdminChoice {
  std::string seconds = "10";
  bool seconds_given = false;
  bool heap = false;
  std::string out;     // a file, what it holds by its ending; empty: a table
  std::string format;  // of the file; empty: by its ending
};

// 1 where the gateway cannot be reached or refuses, or the file cannot be written; 2 where an
// option means nothing.
int profile_command(const ProfileOptions& options);
void add_profile_options(CLI::App& app, ProfileOptions& options);

}  // namespace penstock::app
