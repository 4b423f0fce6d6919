#include "redis/plan.h"

namespace penstock::redis {
namespace {

Error wrong(std::string detail) {
  return {Kind::invalid, Source::gateway, false, std::move(detail)};
}

}  // namespace

Result<Plan> plan_of(const Options& options) {
  if (options.urls.empty()) return wrong("Redis has no URL");
  if (options.urls.size() > 1 && options.sentinel.empty()) {
    return wrong("Redis takes one url: a cluster is not spoken");
  }
  std::vector<Server> servers;
  std::shared_ptr<net::TlsClient> tls;
  for (const std::string& text : options.urls) {
    Result<Url> url = parse_url(text);
    if (!url) return std::move(url).error();
    if (url->tls && !tls) {
      Result<std::shared_ptr<net::TlsClient>> made = net::TlsClient::make(options.ca, "");
      if (!made) return std::move(made).error();
      tls = *std::move(made);
    }
    servers.push_back({*std::move(url), tls, options.name});
    if (servers.back().url.tls != servers.front().url.tls) {
      return wrong("the URLs of Redis are of redis:// and of rediss://");
    }
  }
  Plan plan{servers.front()};
  Url& url = plan.server.url;
  if (!options.sentinel.empty()) {
    // The path is the service's: sentinels have no databases.
    for (Server& server : servers) server.url.database = 0;
    plan.sentinels = std::move(servers);
    url.username = options.username;
    url.password = options.password;
    return plan;
  }
  if (!options.username.empty()) url.username = options.username;
  if (!options.password.empty()) url.password = options.password;
  return plan;
}

}  // namespace penstock::redis
