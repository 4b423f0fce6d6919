// ${NAME}, ${NAME:-default} and ${file:/path} in a value; $${ stands for ${ itself.
#pragma once

#include <string>
#include <string_view>

#include "settings/settings.h"
#include "settings/values.h"

namespace penstock::settings {

struct Expanded {
  std::string text;
  bool from_outside = false;  // holds what is not in the file: not to be repeated in a message
};

// What is put in is not expanded again. A default is taken where NAME is unset or empty; it ends
// at the first "}".
Result<Expanded, Fault> expand(std::string_view text, const Environment& environment);

}  // namespace penstock::settings
