#include "redis/plan.h"

namespace penstock::redis {
namespace {

Error wrong(std::string detail) {
  return {Kind::invalid, Source::gateway, false, std::move(detail)};
}

}  // namespace

Result<Plan> plan_of(const Options& options) {
  if (options.urls.empty()) return wrong("Redis has no URL");
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
  if (!options.sentinel.empty()) {
    // The path is the service's: sentinels have no databases.
    for (Server& server : servers) server.url.database = 0;
    plan.sentinels = std::move(servers);
    plan.server.url.username = options.username;
    plan.server.url.password = options.password;
    return plan;
  }
  for (Server& server : servers) {
    if (!options.username.empty()) server.url.username = options.username;
    if (!options.password.empty()) server.url.password = options.password;
    if (servers.size() > 1 && server.url.database != 0) {
      return wrong("several URLs of Redis are a cluster's, which has no databases but 0");
    }
  }
  plan.server = servers.front();
  if (servers.size() > 1) plan.seeds = std::move(servers);
  return plan;
}

}  // namespace penstock::redis
