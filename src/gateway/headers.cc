#include "gateway/headers.h"

#include <algorithm>
#include <initializer_list>

#include "gateway/look.h"
#include "gateway/passthrough.h"

namespace penstock::gateway {
namespace {

bool one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Fields of the gateway's own.
constexpr std::string_view kOwn = "x-penstock-";

// Which session of its user a question is of; the engine's to read too, and no reason for another
// answer.
constexpr std::string_view kSession = "x-session-id";

// Neither passed on as it came nor part of what is asked.
bool dropped(std::string_view name) {
  return http::hop_by_hop(name) || name.starts_with(kOwn) ||
         one_of(name, {"host", "authorization", "api-key", "x-api-key", "cookie", "content-length",
                       "content-type", "content-encoding", "accept", "accept-encoding", "expect",
                       "x-request-id", "forwarded", "x-forwarded-for", "x-forwarded-host",
                       "x-forwarded-proto", "x-real-ip", "origin", "referer", "cache-control", "te",
                       "upgrade-insecure-requests", "http2-settings",
                       // What other vendors call a credential.
                       "x-goog-api-key", "x-amz-security-token", "proxy-authorization"});
}

// Passed on, and no reason for another answer. By length first: every request's fields are looked
// at, and most names are settled by one comparison.
bool neutral(std::string_view name) {
  switch (name.size()) {
    case 3: return one_of(name, {"dnt", "via"});
    case 4: return one_of(name, {"date", "from"});
    case 6: return name == "pragma";
    case 7: return name == "baggage";
    case 8: return name == "priority";
    case 10: return one_of(name, {"user-agent", "tracestate"});
    case 12: return name == kSession;
    case 11: return name == "traceparent";
    case 15: return one_of(name, {"accept-language", "idempotency-key"});
    case 20: return name == "x-request-timeout-ms";
    default:
      return name.starts_with("x-stainless-") || name.starts_with("sec-") ||
             name.starts_with("x-b3-");
  }
}

// What stands behind "Bearer " (RFC 6750), whose letter case does not matter.
std::string_view bearer(std::string_view value) {
  constexpr std::string_view kScheme = "bearer ";
  if (value.size() <= kScheme.size()) return {};
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    const char c = value[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != kScheme[i]) return {};
  }
  value.remove_prefix(std::min(value.find_first_not_of(' ', kScheme.size()), value.size()));
  return value;
}

// In any of the fields of that name: a list may be given in several.
bool listed_in(const http::RequestHead& head, std::string_view name, std::string_view item) {
  return std::any_of(head.fields.begin(), head.fields.end(), [&](const http::Field& field) {
    return field.name == name && http::list_has(field.value, item);
  });
}

}  // namespace

std::string_view credential_of(const http::RequestHead& head) {
  for (const http::Field& field : head.fields) {
    if (field.name == "authorization") {
      if (const std::string_view token = bearer(field.value); !token.empty()) return token;
    } else if (field.name == "api-key" || field.name == "x-api-key") {
      if (!field.value.empty()) return field.value;
    }
  }
  return {};
}

std::string_view session_of(const http::RequestHead& head) { return head.find(kSession); }

Glance glance(const http::RequestHead& head) {
  Glance seen;
  for (const http::Field& field : head.fields) {
    const std::string_view name = field.name;
    switch (name.size()) {
      case 4:
        if (name == "host") continue;
        break;
      case 7:
      case 9:
        if (name == "api-key" || name == "x-api-key") {
          if (seen.credential.empty()) seen.credential = field.value;
          continue;
        }
        break;
      case 6:
        if (name == "accept") continue;
        if (name == "origin") {
          seen.origin = field.value;
          continue;
        }
        break;
      case 10:
        if (name == "user-agent" || name == "connection") continue;
        break;
      case 12:
        if (name == "content-type") {
          seen.json = is_json(field.value);
          continue;
        }
        if (name == "x-request-id") {
          if (seen.request_id.empty()) seen.request_id = field.value;
          continue;
        }
        if (name == kSession) {
          seen.session = field.value;
          continue;
        }
        break;
      case 13:
        if (name == "authorization") {
          if (seen.credential.empty()) seen.credential = bearer(field.value);
          continue;
        }
        if (name == "cache-control") {
          seen.plain = false;
          continue;
        }
        break;
      case 11:
        if (name == "traceparent") {
          seen.traceparent = field.value;
          continue;
        }
        break;
      case 14:
        if (name == "content-length") continue;
        break;
      case 15:
        if (name == "accept-encoding") {
          if (seen.accept_encoding.empty()) seen.accept_encoding = field.value;
          continue;
        }
        break;
      case 16:
        // The bytes of the body are not the question's.
        if (name == "content-encoding") seen.plain = false;
        break;
      default: break;
    }
    if (!neutral(name) && (!dropped(name) || name.starts_with(kOwn))) seen.plain = false;
  }
  return seen;
}

std::string_view unknown_own_field(const http::RequestHead& head) {
  for (const http::Field& field : head.fields) {
    if (!field.name.starts_with(kOwn)) continue;
    if (field.name != kTagsField && field.name != kReplayField) return field.name;
  }
  return {};
}

TraceContext context_for(const trace::Trace& trace) {
  const std::optional<trace::Context> told = trace.outgoing(trace::kRoot);
  if (!told) return TraceContext::pass;
  return trace.seen.parent != 0 ? TraceContext::replace : TraceContext::drop;
}

std::vector<HeaderView> forwarded(const http::RequestHead& head, TraceContext context) {
  std::vector<HeaderView> headers;
  headers.reserve(head.fields.size());
  for (const http::Field& field : head.fields) {
    if (field.name == "baggage") continue;
    if (context != TraceContext::pass && field.name == "traceparent") continue;
    if (context == TraceContext::drop && field.name == "tracestate") continue;
    if (dropped(field.name) || listed_in(head, "connection", field.name)) continue;
    headers.push_back({field.name, field.value});
  }
  return headers;
}

std::string answer_fields(const http::RequestHead& head) {
  std::vector<HeaderView> fields;
  for (const http::Field& field : head.fields) {
    if (!neutral(field.name) && !dropped(field.name)) fields.push_back({field.name, field.value});
  }
  std::stable_sort(fields.begin(), fields.end(),
                   [](const HeaderView& a, const HeaderView& b) { return a.name < b.name; });
  std::string text;
  for (const HeaderView& field : fields) {
    text += field.name;
    text += ": ";
    text += field.value;
    text += '\n';
  }
  return text;
}

}  // namespace penstock::gateway
