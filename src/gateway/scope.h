// Whose answers are kept apart from whose.
#pragma once

#include <string_view>

namespace penstock::gateway {

// Nothing in this version tells callers apart; when keys do, the scope becomes the caller's.
inline constexpr std::string_view kScope;

}  // namespace penstock::gateway
