// http and https URLs as an operator writes them (RFC 3986), no more.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::http {

struct Url {
  bool https = false;
  std::string host;  // a name or an address, IPv6 without brackets
  std::uint16_t port = 80;
  std::string path;  // "" or "/v1"; no query, no last "/"

  // As the Host field has it: brackets around IPv6, the port where it is not the scheme's own.
  std::string authority() const;
};

// "https://gpu-a.example:8000/v1". No user, no query, no fragment.
Result<Url> parse_url(std::string_view text);

// %41 -> A. What is no escape stays as it is.
std::string percent_decoded(std::string_view text);
// Escapes all but the unreserved characters of RFC 3986.
std::string percent_encoded(std::string_view text);

}  // namespace penstock::http
