#include "settings/values.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <cmath>
#include <limits>

namespace penstock::settings {
namespace {

template <class T>
struct Unit {
  std::string_view name;
  T value;
};

// Smallest first: `in_units` takes the last that divides.
constexpr std::array<Unit<std::uint64_t>, 4> kSizes = {{
    {"B", 1},
    {"KiB", std::uint64_t{1} << 10},
    {"MiB", std::uint64_t{1} << 20},
    {"GiB", std::uint64_t{1} << 30},
}};
constexpr std::array<Unit<std::int64_t>, 6> kTimes = {{
    {"us", Duration(1us).count()},
    {"ms", Duration(1ms).count()},
    {"s", Duration(1s).count()},
    {"m", Duration(1min).count()},
    {"h", Duration(1h).count()},
    {"d", Duration(24h).count()},
}};

struct Measured {
  std::string_view digits;
  std::string_view unit;
};

Measured measured(std::string_view text) {
  const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
  return {text.substr(0, end), text.substr(end)};
}

Fault unit_fault(const Measured& value) {
  if (value.digits.empty()) return {};
  if (value.unit.empty()) return {"the unit is missing"};
  if (value.unit.front() == '.') return {"fractions are not understood: take a smaller unit"};
  if (value.unit.front() == ' ') return {"there is no space before the unit"};
  return {};
}

template <class T, std::size_t N>
std::string in_units(T value, const std::array<Unit<T>, N>& units) {
  if (value == 0) return "0";
  const Unit<T>* best = nullptr;
  for (const Unit<T>& unit : units) {
    if (value % unit.value == 0) best = &unit;
  }
  // Nothing that was parsed is finer than the smallest unit; what was computed is rounded down.
  if (best == nullptr) best = &units.front();
  return fmt::format("{}{}", value / best->value, best->name);
}

bool valid_host(std::string_view host) {
  if (host.empty() || host.size() > 253 || host.front() == '.' || host.front() == '-') return false;
  for (const char c : host) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '.' || c == '_';
    if (!good) return false;
  }
  return true;
}

bool valid_ip6(std::string_view text) {
  boost::system::error_code ec;
  boost::asio::ip::make_address_v6(std::string(text), ec);
  return !ec;
}

struct HostPort {
  std::string_view host;  // without brackets
  std::string_view port;
  bool brackets = false;
  bool colon = false;
};

Result<HostPort, Fault> split(std::string_view text) {
  HostPort parts;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == text.npos) return Fault{"the ] is missing"};
    parts.host = text.substr(1, close - 1);
    parts.brackets = true;
    text.remove_prefix(close + 1);
    if (!text.empty() && text.front() != ':') return Fault{};
    parts.colon = !text.empty();
    parts.port = text.substr(parts.colon ? 1 : 0);
    return parts;
  }
  const std::size_t colon = text.rfind(':');
  if (colon != text.find(':')) return Fault{"an IPv6 address stands in brackets"};
  parts.colon = colon != text.npos;
  parts.host = text.substr(0, colon);
  parts.port = parts.colon ? text.substr(colon + 1) : std::string_view{};
  return parts;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

}  // namespace

Result<bool, Fault> parse_boolean(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return Fault{};
}

Result<std::uint64_t, Fault> parse_integer(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return Fault{};
  if (ec != std::errc{}) return Fault{"it is too large"};
  return value;
}

Result<double, Fault> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) {
    return Fault{};
  }
  if (std::signbit(value)) return Fault{"it is negative"};
  return value;
}

Result<Bytes, Fault> parse_size(std::string_view text) {
  if (text == "0") return Bytes{0};
  const Measured value = measured(text);
  for (const auto& unit : kSizes) {
    if (value.unit != unit.name) continue;
    const Result<std::uint64_t, Fault> count = parse_integer(value.digits);
    if (!count) return count.error();
    if (*count > std::numeric_limits<std::uint64_t>::max() / unit.value) {
      return Fault{"it is too large"};
    }
    return Bytes{*count * unit.value};
  }
  return unit_fault(value);
}

Result<Duration, Fault> parse_duration(std::string_view text) {
  if (text == "0") return Duration::zero();
  const Measured value = measured(text);
  for (const auto& unit : kTimes) {
    if (value.unit != unit.name) continue;
    const Result<std::uint64_t, Fault> count = parse_integer(value.digits);
    if (!count) return count.error();
    if (*count > static_cast<std::uint64_t>(kNoLimit.count() / unit.value)) {
      return Fault{"it is too large"};
    }
    return Duration(static_cast<std::int64_t>(*count) * unit.value);
  }
  return unit_fault(value);
}

Result<double, Fault> parse_ratio(std::string_view text) {
  if (text == "0") return 0.0;
  if (!text.ends_with('%')) {
    const bool number = parse_number(text).ok();
    return number ? Fault{"the % is missing"} : Fault{};
  }
  text.remove_suffix(1);
  const Result<double, Fault> percent = parse_number(text);
  if (!percent) return percent.error();
  if (*percent > 100) return Fault{"it is over 100%"};
  return *percent / 100;
}

Result<Rate, Fault> parse_rate(std::string_view text) {
  if (text == "0") return Rate{0, Duration(1s)};
  const Measured value = measured(text);
  constexpr std::array<Unit<Duration>, 4> kPer = {
      {{"/s", 1s}, {"/m", 1min}, {"/h", 1h}, {"/d", 24h}}};
  for (const auto& per : kPer) {
    if (value.unit != per.name) continue;
    const Result<std::uint64_t, Fault> count = parse_integer(value.digits);
    if (!count) return count.error();
    if (*count > std::numeric_limits<std::uint32_t>::max()) return Fault{"it is too large"};
    return Rate{static_cast<std::uint32_t>(*count), per.value};
  }
  return unit_fault(value);
}

Result<Address, Fault> parse_address(std::string_view text) {
  Result<HostPort, Fault> parts = split(text);
  if (!parts) return parts.error();
  const std::optional<std::uint16_t> port = parse_port(parts->port);
  if (!port)
    return Fault{parts->colon ? "the port is no number up to 65535" : "the port is missing"};
  if (parts->host == "localhost" && !parts->brackets) return Address{"127.0.0.1", *port};

  boost::system::error_code ec;
  const auto ip = boost::asio::ip::make_address(std::string(parts->host), ec);
  if (ec || ip.is_v6() != parts->brackets) {
    return Fault{parts->host.empty() ? "the host is missing; 0.0.0.0 is every IPv4 address"
                                     : "the host is no IP address"};
  }
  return Address{ip.to_string(), *port};
}

Result<std::string, Fault> parse_url(std::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || c > '~') return Fault{"it has a character that must be percent-encoded"};
  }
  std::string_view rest = text;
  const std::size_t scheme = rest.find("://");
  if (scheme == rest.npos) return Fault{"http:// or https:// is missing"};
  if (rest.substr(0, scheme) != "http" && rest.substr(0, scheme) != "https") {
    return Fault{"only http and https are understood"};
  }
  rest.remove_prefix(scheme + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (authority.find('@') != authority.npos) {
    return Fault{"it has a user or password: those go into `api_key` or `headers`"};
  }
  if (rest.find_first_of("?#") != rest.npos) {
    return Fault{"it has a query or fragment: those go into `query`"};
  }
  const Result<HostPort, Fault> parts = split(authority);
  if (!parts) return parts.error();
  if (parts->host.empty()) return Fault{"the host is missing"};
  if (parts->brackets ? !valid_ip6(parts->host) : !valid_host(parts->host)) {
    return Fault{"the host is no name and no address"};
  }
  if (parts->colon && parse_port(parts->port).value_or(0) == 0) {
    return Fault{"the port is no number from 1 to 65535"};
  }
  while (text.ends_with('/')) text.remove_suffix(1);
  return std::string(text);
}

bool Address::loopback() const {
  boost::system::error_code ec;
  const auto ip = boost::asio::ip::make_address(host, ec);
  if (ec) return false;
  if (ip.is_v6() && ip.to_v6().is_v4_mapped()) {
    return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, ip.to_v6()).is_loopback();
  }
  return ip.is_loopback();
}

std::string to_string(const Address& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", address.host, address.port)
            : fmt::format("{}:{}", address.host, address.port);
}

std::string to_text(bool value) { return value ? "true" : "false"; }
std::string to_text(double value) { return fmt::format("{}", value); }
std::string to_text(Bytes value) { return in_units(value.count, kSizes); }
std::string to_text(Duration value) {
  return in_units(static_cast<std::int64_t>(value.count()), kTimes);
}
std::string to_text(Rate value) {
  if (value.count == 0) return "0";
  const char unit = value.per == 1s ? 's' : value.per == 1min ? 'm' : value.per == 1h ? 'h' : 'd';
  return fmt::format("{}/{}", value.count, unit);
}
std::string ratio_to_text(double value) { return fmt::format("{:.12g}%", value * 100); }

}  // namespace penstock::settings
