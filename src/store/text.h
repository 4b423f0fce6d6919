// Text as both databases take it.
#pragma once

#include <string>
#include <string_view>

namespace penstock::store {

// UTF-8 without NUL and without anything that is no character (RFC 3629).
bool storable(std::string_view text);
// The same text with U+FFFD for each byte that no database takes.
std::string made_storable(std::string_view text);

}  // namespace penstock::store
