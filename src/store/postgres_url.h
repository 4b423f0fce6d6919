// postgresql:// URLs, as libpq reads them, taken apart into one target for each host.
//
// The hosts are tried one by one by ourselves: libpq tries them within one time limit of the whole,
// and asks for a name's address without letting the loop go on.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace penstock::store {

struct PostgresUrl {
  struct Host {
    std::string name;     // a name, an address, or the folder of a socket
    std::string address;  // as `hostaddr=` gives it; empty: to be looked up
    std::string port;
  };
  std::vector<Host> hosts;
  std::vector<std::pair<std::string, std::string>> options;  // all but hosts and ports
  std::string name;  // "db-a:5432,db-b:5432/penstock": for people, without user and password

  bool has(std::string_view option) const;
};

// The error never repeats the URL: it may hold a password.
Result<PostgresUrl> parse_postgres_url(const std::string& url);

}  // namespace penstock::store
