#include "gateway/refused.h"

#include <fmt/format.h>

#include <algorithm>

#include "settings/values.h"

namespace penstock::gateway {
namespace {

std::string capital(std::string_view text) {
  std::string out(text);
  if (!out.empty() && out.front() >= 'a' && out.front() <= 'z') {
    out.front() = static_cast<char>(out.front() - 'a' + 'A');
  }
  return out;
}

}  // namespace

Refusal refusal_of_http(const http::BadMessage& bad, const settings::Listen::Limits& limits,
                        std::string_view section) {
  using settings::to_text;
  // The setting with its value, or the value alone.
  const auto named = [&](std::string_view key, const std::string& value) {
    return section.empty() ? value : fmt::format("{}{} ({})", section, key, value);
  };
  const auto message = [&]() -> std::string {
    switch (bad.limit) {
      case http::Limit::none: return capital(bad.what) + ".";
      case http::Limit::head:
        return fmt::format("The head is larger than {}.",
                           named("header_bytes", to_text(limits.header_bytes)));
      case http::Limit::headers:
        return section.empty() ? fmt::format("The head has more than {} fields.", limits.headers)
                               : fmt::format("The head has more fields than {}.",
                                             named("headers", std::to_string(limits.headers)));
      case http::Limit::line: {
        const settings::Bytes most{
            std::min<std::uint64_t>(http::HeadLimits().line_bytes, limits.header_bytes.count)};
        return fmt::format("{} is longer than {}.",
                           bad.what.starts_with("a field") ? "A field line" : "The request line",
                           to_text(most));
      }
      case http::Limit::body:
        return fmt::format("The body is larger than {}.",
                           named("body_bytes", to_text(limits.body_bytes)));
      case http::Limit::head_time:
        return fmt::format("No whole head came within {}.",
                           named("first_header", to_text(limits.first_header)));
      case http::Limit::body_time: break;
    }
    return fmt::format("The body did not come in time: nothing for {}, or less than 1KiB a second.",
                       named("body", to_text(limits.body)));
  };
  Refusal refused = refusal(reason_of_http(bad.status), message());
  refused.close = true;
  return refused;
}

}  // namespace penstock::gateway
