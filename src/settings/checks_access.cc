// Whether the settings of who may ask, how much, and where it is kept agree with each other.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "settings/checks.h"
#include "settings/files.h"
#include "settings/text.h"

namespace penstock::settings {
namespace {

bool postgres(std::string_view url) {
  return url.starts_with("postgresql://") || url.starts_with("postgres://");
}

void check_jwt(const Settings& settings, Report& report) {
  const Auth& auth = settings.auth;
  if (auth.mode != AuthMode::jwt || report.faulty("auth")) return;
  const auto need = [&](const std::string& value, std::string_view name, std::string_view what) {
    if (!value.empty()) return;
    report.add_at_value(
        "auth.mode", {fmt::format("is jwt, and auth.jwt.{} is missing", name), std::string(what)});
  };
  need(auth.jwt.issuer, "issuer", "what `iss` is in the provider's tokens");
  need(auth.jwt.audience, "audience",
       "what `aud` is in the tokens for this gateway; without it those for others would do");
  need(auth.jwt.jwks_url, "jwks_url", "where the provider's keys are: its jwks_uri");
  // Who can change the keys on their way can make tokens.
  const std::string& url = auth.jwt.jwks_url;
  const bool local = url.starts_with("http://127.") || url.starts_with("http://localhost") ||
                     url.starts_with("http://[::1]");
  if (!url.empty() && !url.starts_with("https://") && !local) {
    report.add_at_value("auth.jwt.jwks_url",
                        {"is neither https nor on loopback: whoever stands between could make "
                         "tokens",
                         "an https URL"});
  }
}

void check_tenants(const Settings& settings, Report& report) {
  std::unordered_map<std::string_view, std::size_t> names;
  for (std::size_t i = 0; i < settings.tenants.size(); ++i) {
    const std::string& name = settings.tenants[i].name;
    if (name.empty()) continue;
    if (const auto [first, is_new] = names.emplace(name, i); !is_new) {
      const std::string path = fmt::format("tenants[{}].name", i);
      report.add_at_value(path, {fmt::format("{} is the name of tenants[{}] too",
                                             report.named(path, name), first->second)});
    }
  }
}

// The names that clients may ask for; nothing where any will do.
std::vector<std::string_view> model_names(const Settings& settings) {
  std::vector<std::string_view> names;
  for (const ModelSettings& model : settings.models) {
    if (model.name == "*") return {};
    names.push_back(model.name);
  }
  return names;
}

void check_named_models(const Settings& settings, Report& report) {
  const std::vector<std::string_view> names = model_names(settings);
  if (names.empty()) return;
  const auto known = [&](const std::string& name, const std::string& path, bool aliases) {
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    const auto has = [&](const ModelSettings& model) {
      return std::find(model.aliases.begin(), model.aliases.end(), name) != model.aliases.end();
    };
    if (aliases && std::any_of(settings.models.begin(), settings.models.end(), has)) return;
    report.add_at_value(path, {fmt::format("there is no model {}", report.named(path, name)),
                               either(names), std::string(nearest(name, names).value_or(""))});
  };
  for (const NamedQuotas& model : settings.limits.models) {
    known(model.name, "limits.models." + model.name, false);
  }
  for (std::size_t i = 0; i < settings.tenants.size(); ++i) {
    for (std::size_t j = 0; j < settings.tenants[i].models.size(); ++j) {
      known(settings.tenants[i].models[j], fmt::format("tenants[{}].models[{}]", i, j), true);
    }
  }
}

void check_store(const Settings& settings, Report& report) {
  for (std::size_t i = 0; i < settings.store.replicas.size(); ++i) {
    const std::string path = fmt::format("store.replicas[{}]", i);
    if (report.faulty(path) || report.faulty("store.url")) continue;
    if (!postgres(settings.store.url)) {
      report.add_at_value(path, {"a replica is one of PostgreSQL, and store.url is a SQLite file"});
    } else if (!postgres(settings.store.replicas[i])) {
      report.add_at_value(path, {"is no replica that can be used", "postgresql://user@host/db"});
    }
  }
}

void check_redis(const Settings& settings, Report& report) {
  const Cache::Redis& redis = settings.cache.redis;
  for (std::size_t i = 0; i < redis.urls.size(); ++i) {
    const std::string path = fmt::format("cache.redis.urls[{}]", i);
    if (!redis.urls[i].starts_with("redis://") && !redis.urls[i].starts_with("rediss://")) {
      report.add_at_value(path, {"is no Redis that can be used", "redis://host:6379/0"});
    }
  }
  if (!redis.sentinel.empty() && redis.urls.empty()) {
    report.add_at_value("cache.redis.sentinel",
                        {"is set, and cache.redis.urls names no sentinel",
                         "the sentinels there, such as redis://host:26379"});
  }
  if (settings.limits.shared == LimitsShared::redis && redis.urls.empty()) {
    report.add_at_value("limits.shared", {"is redis, and cache.redis.urls names none",
                                          "a URL there, or limits.shared: local"});
  }
}

}  // namespace

void check_access(const Settings& settings, Report& report) {
  check_jwt(settings, report);
  check_tenants(settings, report);
  check_named_models(settings, report);
  check_store(settings, report);
  check_redis(settings, report);
}

}  // namespace penstock::settings
