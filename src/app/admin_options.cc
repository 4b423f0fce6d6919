#include "app/admin_options.h"

#include <CLI/CLI.hpp>

namespace penstock::app {

void add_admin_options(CLI::App& app, AdminChoice& choice) {
  app.add_option("--admin", choice.admin, "The admin listener of the gateway")
      ->type_name("URL")
      ->capture_default_str();
  app.add_option("--token", choice.token, "The `admin.token`, where one is set")
      ->type_name("TOKEN")
      ->envname("PENSTOCK_ADMIN_TOKEN");
}

void add_format_option(CLI::App& app, std::string& format) {
  app.add_option("--format", format, "How it is written: table or json")
      ->type_name("FORMAT")
      ->capture_default_str();
}

}  // namespace penstock::app
