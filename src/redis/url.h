// redis and rediss URLs as an operator writes them.
//
//   redis://user:password@host:6379/2         rediss: TLS
//
// The password is never shown again: an error names what is wrong, not the URL.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::redis {

struct Url {
  bool tls = false;
  std::string host;  // a name or an address, IPv6 without brackets
  std::uint16_t port = 6379;
  std::string username;  // empty: Redis's default user
  std::string password;
  unsigned database = 0;

  // For logs: host and port, nothing secret.
  std::string place() const;
};

Result<Url> parse_url(std::string_view text);

}  // namespace penstock::redis
