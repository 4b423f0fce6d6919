#include "redis/url.h"

#include <algorithm>
#include <boost/asio/ip/address_v6.hpp>
#include <charconv>
#include <optional>

namespace penstock::redis {
namespace {

constexpr std::size_t kMostUrl = 4096;
constexpr unsigned kMostDatabase = 1'000'000;

Error bad(std::string_view why) {
  return {Kind::invalid, Source::gateway, false, "the URL of Redis " + std::string(why)};
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

bool host_characters(std::string_view host) {
  return std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto [stop, ec] = std::from_chars(text.data(), end, number);
  return ec == std::errc{} && stop == end;
}

bool take_scheme(std::string_view& text, std::string_view scheme) {
  if (text.size() < scheme.size()) return false;
  const bool equal = std::equal(scheme.begin(), scheme.end(), text.begin(), [](char a, char b) {
    return a == (b >= 'A' && b <= 'Z' ? b + 32 : b);
  });
  if (equal) text.remove_prefix(scheme.size());
  return equal;
}

Result<void> read_user(std::string_view text, Url& url) {
  const std::size_t colon = text.find(':');
  std::optional<std::string> name = unescaped(text.substr(0, colon));
  std::optional<std::string> password =
      colon == std::string_view::npos ? std::string() : unescaped(text.substr(colon + 1));
  if (!name || !password) return bad("has a % that begins no escape");
  url.username = *std::move(name);
  url.password = *std::move(password);
  return {};
}

Result<void> read_host(std::string_view text, Url& url) {
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return bad("has a [ without its ]");
    url.host = text.substr(1, close - 1);
    boost::system::error_code ec;
    boost::asio::ip::make_address_v6(url.host, ec);
    if (ec) return bad("has no IPv6 address between [ and ]");
    port = text.substr(close + 1);
  } else {
    const std::size_t colon = text.find(':');
    url.host = text.substr(0, colon);
    if (url.host.empty()) return bad("has no host");
    if (url.host.size() > 255 || !host_characters(url.host)) return bad("has a host that is none");
    if (colon != std::string_view::npos) port = text.substr(colon);
  }
  if (port.empty()) return {};
  if (port.front() != ':' || !read_number(port.substr(1), url.port) || url.port == 0) {
    return bad("has a port that is none");
  }
  return {};
}

}  // namespace

std::string Url::place() const {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" +
         std::to_string(port);
}

Result<Url> parse_url(std::string_view text) {
  if (text.size() > kMostUrl) return bad("is too long");
  Url url;
  if (take_scheme(text, "rediss://")) {
    url.tls = true;
  } else if (!take_scheme(text, "redis://")) {
    return bad("does not begin with redis:// or rediss://");
  }
  for (const char c : text) {
    if (c <= ' ' || c > '~') return bad("holds a character that must be escaped");
  }
  if (text.find_first_of("?#") != std::string_view::npos) return bad("has a query or a fragment");
  const std::size_t slash = text.find('/');
  std::string_view authority = text.substr(0, slash);
  if (slash != std::string_view::npos && slash + 1 < text.size()) {
    if (!read_number(text.substr(slash + 1), url.database) || url.database > kMostDatabase) {
      return bad("has a path that is no number of a database");
    }
  }
  // The last one: a password that was not escaped may have one.
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    Result<void> read = read_user(authority.substr(0, at), url);
    if (!read) return std::move(read).error();
    authority.remove_prefix(at + 1);
  }
  Result<void> read = read_host(authority, url);
  if (!read) return std::move(read).error();
  return url;
}

}  // namespace penstock::redis
