// Who may use the admin listener.
#pragma once

#include <optional>
#include <string_view>

#include "exchange/exchange.h"
#include "http/head.h"

namespace penstock::admin {

// The refusal, or none. `token` is the configured one; empty where none is set.
//
// A valid token proves that no foreign page sent the request: browsers do not attach it by
// themselves. Without one the Host must be an IP address or localhost (a rebound name is neither)
// and an Origin, if there is one, must be this listener itself.
std::optional<Refusal> check(const http::RequestHead& head, std::string_view token);

// In time that depends on the lengths only.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace penstock::admin
