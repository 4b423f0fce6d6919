// What commands that ask a running gateway have alike: where its admin listener is, and its token.
#pragma once

#include <string>

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's own name
class App;
}

namespace penstock::app {

struct AdminChoice {
  std::string admin = "http://127.0.0.1:8081";
  std::string token;  // empty: none is sent
};

// --admin and --token.
void add_admin_options(CLI::App& app, AdminChoice& choice);
// --format, of those that print a table or JSON.
void add_format_option(CLI::App& app, std::string& format);

}  // namespace penstock::app
