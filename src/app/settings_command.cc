// `penstock settings [--schema]`
#include "app/commands.h"
#include "app/help.h"
#include "settings/settings.h"

namespace penstock::app {

int settings_command(bool schema) {
  return print_page("penstock settings", schema ? settings::json_schema() : settings::reference());
}

}  // namespace penstock::app
