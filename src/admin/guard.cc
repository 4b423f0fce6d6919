#include "admin/guard.h"

#include <boost/asio/ip/address.hpp>

#include "exchange/refusals.h"

namespace penstock::admin {
namespace {

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t close = host.find(']');
    return close == std::string_view::npos ? std::string_view{} : host.substr(1, close - 1);
  }
  return host.substr(0, host.find(':'));
}

bool trusted_host(std::string_view host) {
  const std::string_view name = without_port(host);
  if (http::equal_lower(name, "localhost")) return true;
  boost::system::error_code ec;
  boost::asio::ip::make_address(std::string(name), ec);
  return !ec;
}

Refusal forbidden(std::string message) { return refusal(Reason::not_allowed, std::move(message)); }

}  // namespace

std::uint64_t Refusals::add(Time now) {
  ++untold_;
  return due(now);
}

std::uint64_t Refusals::due(Time now) {
  if (untold_ == 0 || now < next_) return 0;
  next_ = now + 1s;
  return std::exchange(untold_, 0);
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(
        difference | (static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i])));
  }
  return difference == 0;
}

std::optional<Refusal> check(const http::RequestHead& head, std::string_view token) {
  const std::string_view host = head.host.empty() ? head.find("host") : head.host;
  const std::string_view origin = head.find("origin");
  if (!origin.empty()) {
    const bool own =
        origin == "http://" + std::string(host) || origin == "https://" + std::string(host);
    if (!own) return forbidden("Requests of other web pages are not served here.");
  }
  const std::string_view site = head.find("sec-fetch-site");
  if (!site.empty() && site != "same-origin" && site != "none") {
    return forbidden("Requests of other web pages are not served here.");
  }
  if (token.empty()) {
    if (trusted_host(host)) return std::nullopt;
    return forbidden("Use an IP address or localhost as the host, or set admin.token.");
  }
  constexpr std::string_view kBearer = "bearer ";
  const std::string_view given = head.find("authorization");
  if (given.size() > kBearer.size() &&
      http::equal_lower(given.substr(0, kBearer.size()), kBearer) &&
      equal_in_constant_time(given.substr(kBearer.size()), token)) {
    return std::nullopt;
  }
  return refusal(Reason::invalid_admin_token,
                 given.empty() ? "The admin API needs `Authorization: Bearer` with admin.token."
                               : "The admin token is wrong.");
}

std::string without_passwords(std::string text) {
  constexpr std::string_view kSlashes = "//", kEnd("/?# \0", 5), kHidden = "***";
  for (std::size_t at = text.find(kSlashes); at != text.npos; at = text.find(kSlashes, at + 1)) {
    const std::size_t begin = at + kSlashes.size();
    // A password may have what should have been escaped; a host has no @.
    const std::size_t end = std::min(text.find_first_of(kEnd, begin), text.size());
    const std::size_t sign = std::string_view(text).substr(begin, end - begin).rfind('@');
    if (sign != text.npos) text.replace(begin, sign, kHidden);
  }
  return text;
}

}  // namespace penstock::admin
