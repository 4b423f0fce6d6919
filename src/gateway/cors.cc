#include "gateway/cors.h"

#include <algorithm>

#include "dialect/refusal.h"
#include "exchange/refusals.h"

namespace penstock::gateway {
namespace {

// Named one by one: with credentials a browser does not take `*` for every name.
constexpr std::string_view kReadable =
    "x-request-id, x-penstock-cache, x-penstock-similarity, x-penstock-engine, "
    "x-penstock-complexity, age, server-timing, retry-after, "
    "retry-after-ms, x-should-retry, x-ratelimit-limit-requests, x-ratelimit-limit-tokens, "
    "x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, "
    "x-ratelimit-reset-tokens, openai-processing-ms, openai-version, openai-organization";
constexpr std::string_view kMethods = "GET, HEAD, POST, PUT, PATCH, DELETE";
constexpr std::string_view kRemembered = "7200";  // seconds; no browser takes much more
constexpr std::string_view kEveryOrigin = "*";

bool has(const Origins& allowed, std::string_view origin) {
  return std::find(allowed.origins.begin(), allowed.origins.end(), origin) != allowed.origins.end();
}

// Who may read the answer; false: not this origin.
bool allow(const Origins& allowed, std::string_view origin, http::Reply& reply) {
  if (has(allowed, origin)) {
    reply.field("access-control-allow-origin", origin);
    // For a proxy that signs people in by cookies; the gateway itself takes none.
    reply.field("access-control-allow-credentials", "true");
    return true;
  }
  if (!has(allowed, kEveryOrigin)) return false;
  reply.field("access-control-allow-origin", kEveryOrigin);
  return true;
}

}  // namespace

void let_read(const Origins& allowed, std::string_view origin, http::Reply& reply) {
  if (origin.empty() || allowed.origins.empty()) return;
  if (allow(allowed, origin, reply)) reply.field("access-control-expose-headers", kReadable);
  reply.field("vary", "origin");
}

bool is_preflight(const Origins& allowed, const http::RequestHead& head) {
  return head.method == "OPTIONS" && !allowed.origins.empty() && !head.find("origin").empty() &&
         !head.find("access-control-request-method").empty();
}

void answer_preflight(const Origins& allowed, const http::RequestHead& head,
                      std::string_view request_id, http::Reply& reply) {
  constexpr std::string_view kVary =
      "origin, access-control-request-method, access-control-request-headers, "
      "access-control-request-private-network";
  const std::string_view origin = head.find("origin");
  if (!has(allowed, origin) && !has(allowed, kEveryOrigin)) {
    const Refusal refused =
        refusal(Reason::origin_not_allowed,
                "Pages of this origin may not ask here: it is not in listen.cors.origins.");
    std::string body;
    dialect::write_refusal(body, refused);
    reply.status(refused.status);
    reply.field("content-type", "application/json");
    reply.field("x-request-id", request_id);
    reply.field("vary", kVary);
    reply.finish(body);
    return;
  }
  reply.status(204);
  allow(allowed, origin, reply);
  reply.field("access-control-allow-methods", kMethods);
  // `*` does not stand for Authorization, and every SDK has fields of its own: what is asked for is
  // what may be sent. The gateway decides what of it an engine sees.
  const std::string_view fields = head.find("access-control-request-headers");
  if (!fields.empty()) reply.field("access-control-allow-headers", fields);
  // A page from the Internet, and a gateway in a private network: listed is listed.
  if (head.find("access-control-request-private-network") == "true") {
    reply.field("access-control-allow-private-network", "true");
  }
  reply.field("access-control-max-age", kRemembered);
  reply.field("x-request-id", request_id);
  reply.field("vary", kVary);
  reply.finish({});
}

}  // namespace penstock::gateway
