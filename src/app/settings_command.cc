// `penstock settings [--schema]`
#include <string>

#include "app/commands.h"
#include "settings/settings.h"

namespace penstock::app {

int settings_command(bool schema) {
  const std::string text = schema ? settings::json_schema() : settings::reference();
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  return written && std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace penstock::app
