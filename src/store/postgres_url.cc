#include "store/postgres_url.h"

#include <libpq-fe.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace penstock::store {
namespace {

constexpr std::string_view kDefaultPort = "5432";

Error invalid(std::string why) {
  return {Kind::invalid, Source::store, false, "the database's URL: " + std::move(why)};
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> out;
  for (;;) {
    const std::size_t comma = list.find(',');
    out.emplace_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return out;
    list.remove_prefix(comma + 1);
  }
}

bool is_port(std::string_view text) {
  unsigned number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  return ec == std::errc() && end == text.data() + text.size() && number >= 1 && number <= 65535;
}

struct Free {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

}  // namespace

bool PostgresUrl::has(std::string_view option) const {
  return std::any_of(options.begin(), options.end(),
                     [&](const auto& one) { return one.first == option; });
}

Result<PostgresUrl> parse_postgres_url(const std::string& url) {
  if (!url.starts_with("postgresql://") && !url.starts_with("postgres://")) {
    return invalid("it begins with postgresql:// or sqlite:");
  }
  char* message = nullptr;
  const std::unique_ptr<PQconninfoOption, Free> parsed(PQconninfoParse(url.c_str(), &message));
  if (!parsed) {
    PQfreemem(message);  // it quotes the URL
    return invalid("it cannot be read; expected postgresql://user@host/database");
  }
  PostgresUrl out;
  std::string hosts;
  std::string addresses;
  std::string ports;
  std::string database;
  for (const PQconninfoOption* one = parsed.get(); one->keyword != nullptr; ++one) {
    if (one->val == nullptr) continue;
    const std::string_view keyword = one->keyword;
    if (keyword == "host") {
      hosts = one->val;
    } else if (keyword == "hostaddr") {
      addresses = one->val;
    } else if (keyword == "port") {
      ports = one->val;
    } else {
      if (keyword == "dbname") database = one->val;
      out.options.emplace_back(keyword, one->val);
    }
  }
  const std::vector<std::string> names = split(hosts);
  const std::vector<std::string> known = split(addresses);
  const std::vector<std::string> numbers = split(ports);
  const std::size_t count = std::max(names.size(), known.size());
  if ((known.size() != 1 && known.size() != count) ||
      (names.size() != 1 && names.size() != count) ||
      (numbers.size() != 1 && numbers.size() != count)) {
    return invalid("it names another number of hosts than of addresses or ports");
  }
  const auto of = [](const std::vector<std::string>& list, std::size_t i) {
    return list.size() == 1 ? list.front() : list[i];
  };
  for (std::size_t i = 0; i < count; ++i) {
    PostgresUrl::Host host{of(names, i), of(known, i), of(numbers, i)};
    if (host.port.empty()) host.port = kDefaultPort;
    if (!is_port(host.port)) return invalid("a port is a number from 1 to 65535");
    if (!out.name.empty()) out.name += ',';
    out.name += (host.name.empty() ? host.address : host.name) + ":" + host.port;
    out.hosts.push_back(std::move(host));
  }
  out.name += "/" + database;
  return out;
}

}  // namespace penstock::store
