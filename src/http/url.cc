#include "http/url.h"

#include <algorithm>
#include <boost/asio/ip/address_v6.hpp>
#include <charconv>

#include "http/head.h"

namespace penstock::http {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Names as they are in use: letters, digits, "-", "." and, in private networks, "_".
bool host_characters(std::string_view host) {
  return std::all_of(host.begin(), host.end(),
                     [](char c) { return alphanumeric(c) || c == '-' || c == '.' || c == '_'; });
}

// pchar and "/" (RFC 3986 section 3.3), with whole escapes.
bool path_characters(std::string_view path) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '%') {
      if (i + 2 >= path.size() || hex_value(path[i + 1]) < 0 || hex_value(path[i + 2]) < 0) {
        return false;
      }
      i += 2;
    } else if (!alphanumeric(path[i]) &&
               std::string_view("/-._~!$&'()*+,;=:@").find(path[i]) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  const char* const end = text.data() + text.size();
  const auto [stop, ec] = std::from_chars(text.data(), end, port);
  return ec == std::errc{} && stop == end && text.size() <= 5 && port != 0;
}

Error bad(std::string_view text, std::string_view why) {
  return {Kind::invalid, Source::gateway, false,
          "the URL " + std::string(text) + " " + std::string(why)};
}

}  // namespace

std::string Url::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != (https ? 443 : 80)) text += ":" + std::to_string(port);
  return text;
}

Result<Url> parse_url(std::string_view text) {
  Url url;
  std::string_view rest = text;
  if (rest.size() >= 8 && equal_lower(rest.substr(0, 8), "https://")) {
    url.https = true;
    url.port = 443;
    rest.remove_prefix(8);
  } else if (rest.size() >= 7 && equal_lower(rest.substr(0, 7), "http://")) {
    rest.remove_prefix(7);
  } else {
    return bad(text, "does not begin with http:// or https://");
  }
  for (const char c : rest) {
    if (c <= ' ' || c > '~') return bad(text, "holds a character that must be escaped");
  }
  if (rest.find('@') != std::string_view::npos) {
    // Not shown: there may be a password in it.
    return Error{Kind::invalid, Source::gateway, false, "the URL names a user"};
  }
  if (rest.find_first_of("?#") != std::string_view::npos) {
    return bad(text, "has a query or a fragment");
  }
  const std::size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) {
    url.path = rest.substr(slash);
    if (!path_characters(url.path)) return bad(text, "has a path with a character to be escaped");
  }
  while (url.path.ends_with('/')) url.path.pop_back();

  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return bad(text, "has a [ without its ]");
    url.host = authority.substr(1, close - 1);
    boost::system::error_code ec;
    boost::asio::ip::make_address_v6(url.host, ec);
    if (ec) return bad(text, "has no IPv6 address between [ and ]");
    port = authority.substr(close + 1);
  } else {
    const std::size_t colon = authority.find(':');
    url.host = authority.substr(0, colon);
    if (url.host.empty()) return bad(text, "has no host");
    if (!host_characters(url.host)) return bad(text, "has a host that is none");
    if (colon != std::string_view::npos) port = authority.substr(colon);
  }
  if (!port.empty()) {
    if (port.front() != ':' || !parse_port(port.substr(1), url.port)) {
      return bad(text, "has a port that is none");
    }
  }
  return url;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high >= 0 && low >= 0) {
        out += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
  return out;
}

}  // namespace penstock::http
