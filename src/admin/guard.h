// Who may use the admin listener.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "exchange/exchange.h"
#include "http/head.h"

namespace penstock::admin {

// The refusal, or none. `token` is the configured one; empty where none is set.
//
// A valid token proves that no foreign page sent the request: browsers do not attach it by
// themselves. Without one the Host must be an IP address or localhost (a rebound name is neither)
// and an Origin, if there is one, must be this listener itself.
std::optional<Refusal> check(const http::RequestHead& head, std::string_view token);

// When to tell of refused tokens: of the first at once, of more once a second, with their number.
class Refusals {
 public:
  // One more. How many to tell of now, this one included; 0: none yet.
  std::uint64_t add(Time now);
  // How many were not told of and are due by now. Call it now and then, for the last ones.
  std::uint64_t due(Time now);

 private:
  std::uint64_t untold_ = 0;
  Time next_ = Time::min();
};

// The same with "***" for the user and the password of each URL in it.
std::string without_passwords(std::string text);

// In time that depends on the lengths only.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace penstock::admin
