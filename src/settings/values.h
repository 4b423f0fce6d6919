// Single values as they are written: 32KiB, 250ms, 20%, 600/m, [::1]:8080.
//
// Whole numbers with one unit, without spaces: what is read has one meaning, and `to_text` writes
// it back the same way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "settings/settings.h"

namespace penstock::settings {

// Why a text is no such value: "the unit is missing". Empty where there is nothing to add to what
// was expected.
struct Fault {
  std::string reason;
};

Result<bool, Fault> parse_boolean(std::string_view text);           // true, false
Result<std::uint64_t, Fault> parse_integer(std::string_view text);  // decimal digits
Result<double, Fault> parse_number(std::string_view text);          // finite, not negative
Result<Bytes, Fault> parse_size(std::string_view text);             // B KiB MiB GiB; 0
Result<Duration, Fault> parse_duration(std::string_view text);      // us ms s m h d; 0
Result<double, Fault> parse_ratio(std::string_view text);           // 20% is 0.2; at most 100%; 0
Result<Rate, Fault> parse_rate(std::string_view text);              // N/s N/m N/h N/d; 0

// An IPv4 or bracketed IPv6 address and a port; `localhost` is 127.0.0.1.
Result<Address, Fault> parse_address(std::string_view text);

// http or https, a host, perhaps a port and a path; no user, query or fragment. What is returned
// has no "/" at its end.
Result<std::string, Fault> parse_url(std::string_view text);

// What "none", no limit, is in a field: the longest time that is read; sums with it stay in range.
inline constexpr Duration kNoLimit = 24h * 36500;

std::string to_text(bool value);
std::string to_text(double value);
std::string to_text(Bytes value);     // in the largest unit that gives a whole number
std::string to_text(Duration value);  // likewise
std::string to_text(Rate value);
std::string ratio_to_text(double value);

}  // namespace penstock::settings
