#include "settings/table.h"

#include <gtest/gtest.h>

#include <set>

namespace penstock::settings {
namespace {

// The configuration contract: every path that it has. Later versions may add, never rename.
constexpr std::string_view kContract[] = {"admin",
                                          "admin.address",
                                          "admin.console",
                                          "admin.profiling",
                                          "admin.tls",
                                          "admin.tls.certificate",
                                          "admin.tls.key",
                                          "admin.token",
                                          "auth",
                                          "auth.allow_anonymous",
                                          "auth.jwt",
                                          "auth.jwt.audience",
                                          "auth.jwt.issuer",
                                          "auth.jwt.jwks_url",
                                          "auth.jwt.tenant_claim",
                                          "auth.mode",
                                          "autoscaling",
                                          "autoscaling.cooldown",
                                          "autoscaling.cooldown.down",
                                          "autoscaling.cooldown.up",
                                          "autoscaling.replicas",
                                          "autoscaling.replicas.max",
                                          "autoscaling.replicas.min",
                                          "autoscaling.target_utilization",
                                          "autoscaling.webhook",
                                          "batching",
                                          "batching.concurrency",
                                          "batching.embeddings",
                                          "batching.embeddings.max_inputs",
                                          "batching.embeddings.max_wait",
                                          "batching.files",
                                          "batching.files.keep",
                                          "batching.files.max_bytes",
                                          "batching.files.path",
                                          "batching.operations",
                                          "breaker",
                                          "breaker.consecutive",
                                          "breaker.failure_ratio",
                                          "breaker.minimum_calls",
                                          "breaker.open_for",
                                          "breaker.open_max",
                                          "breaker.probes",
                                          "breaker.window",
                                          "budgets",
                                          "budgets[].alert",
                                          "budgets[].below",
                                          "budgets[].for",
                                          "budgets[].hit_ratio",
                                          "budgets[].in",
                                          "budgets[].name",
                                          "budgets[].of",
                                          "budgets[].requests_per_second",
                                          "cache",
                                          "cache.answers",
                                          "cache.coalesce",
                                          "cache.early_refresh",
                                          "cache.memory",
                                          "cache.memory.max_entry",
                                          "cache.memory.policy",
                                          "cache.memory.size",
                                          "cache.redis",
                                          "cache.redis.ca",
                                          "cache.redis.compress_over",
                                          "cache.redis.connections",
                                          "cache.redis.password",
                                          "cache.redis.sentinel",
                                          "cache.redis.timeout",
                                          "cache.redis.tracking",
                                          "cache.redis.urls",
                                          "cache.redis.username",
                                          "cache.scope",
                                          "cache.semantic",
                                          "cache.semantic.embedding_model",
                                          "cache.semantic.enabled",
                                          "cache.semantic.max_turns",
                                          "cache.semantic.path",
                                          "cache.semantic.size",
                                          "cache.semantic.threshold",
                                          "cache.stale",
                                          "cache.stale.if_error",
                                          "cache.stale.while_revalidate",
                                          "cache.ttl",
                                          "cache.ttl.default",
                                          "cache.ttl.jitter",
                                          "cache.ttl.negative",
                                          "cache.warm",
                                          "cache.warm.concurrency",
                                          "cache.warm.file",
                                          "cache.warm.popular",
                                          "ejection",
                                          "ejection.consecutive",
                                          "ejection.max_ejected",
                                          "ejection.slow_start",
                                          "engines",
                                          "engines[].api_key",
                                          "engines[].auth",
                                          "engines[].connections",
                                          "engines[].connections.connect_timeout",
                                          "engines[].connections.http2",
                                          "engines[].connections.idle",
                                          "engines[].connections.max",
                                          "engines[].headers",
                                          "engines[].health",
                                          "engines[].health.healthy_after",
                                          "engines[].health.interval",
                                          "engines[].health.path",
                                          "engines[].health.timeout",
                                          "engines[].health.unhealthy_after",
                                          "engines[].kind",
                                          "engines[].max_inflight",
                                          "engines[].metrics",
                                          "engines[].metrics.interval",
                                          "engines[].metrics.path",
                                          "engines[].name",
                                          "engines[].path",
                                          "engines[].price",
                                          "engines[].price.input",
                                          "engines[].price.output",
                                          "engines[].query",
                                          "engines[].region",
                                          "engines[].timeout",
                                          "engines[].timeout.between_tokens",
                                          "engines[].timeout.first_token",
                                          "engines[].timeout.total",
                                          "engines[].tls",
                                          "engines[].tls.ca",
                                          "engines[].url",
                                          "engines[].weight",
                                          "features",
                                          "features.caching",
                                          "features.guard",
                                          "features.opentelemetry_tracing",
                                          "features.performance_optimization",
                                          "features.prometheus_metrics",
                                          "features.redis_caching",
                                          "limits",
                                          "limits.inflight",
                                          "limits.models",
                                          "limits.requests",
                                          "limits.shared",
                                          "limits.spend",
                                          "limits.spend.day",
                                          "limits.spend.month",
                                          "limits.tokens",
                                          "listen",
                                          "listen.address",
                                          "listen.compression",
                                          "listen.compression.encodings",
                                          "listen.compression.level",
                                          "listen.compression.min_bytes",
                                          "listen.compression.streams",
                                          "listen.cors",
                                          "listen.cors.origins",
                                          "listen.http2",
                                          "listen.limits",
                                          "listen.limits.body",
                                          "listen.limits.body_bytes",
                                          "listen.limits.connections",
                                          "listen.limits.drain",
                                          "listen.limits.drain_delay",
                                          "listen.limits.first_header",
                                          "listen.limits.header_bytes",
                                          "listen.limits.headers",
                                          "listen.limits.idle",
                                          "listen.limits.streams_per_connection",
                                          "listen.limits.write_stall",
                                          "listen.push",
                                          "listen.tls",
                                          "listen.tls.certificates",
                                          "listen.tls.certificates[].certificate",
                                          "listen.tls.certificates[].key",
                                          "listen.tls.client_ca",
                                          "listen.tls.client_tenant",
                                          "listen.tls.reload",
                                          "listen.trusted_proxies",
                                          "listen.workers",
                                          "logging",
                                          "logging.access",
                                          "logging.format",
                                          "logging.level",
                                          "memory",
                                          "memory.limit",
                                          "metrics",
                                          "metrics.exemplars",
                                          "metrics.max_label_values",
                                          "metrics.path",
                                          "metrics.tenants",
                                          "models",
                                          "models[].aliases",
                                          "models[].balance",
                                          "models[].by_complexity",
                                          "models[].by_complexity[].below",
                                          "models[].by_complexity[].use",
                                          "models[].cache",
                                          "models[].cache.answers",
                                          "models[].cache.ttl",
                                          "models[].engines",
                                          "models[].fallback",
                                          "models[].hedge",
                                          "models[].hedge.after",
                                          "models[].hedge.budget",
                                          "models[].name",
                                          "models[].retry",
                                          "models[].retry.attempts",
                                          "models[].retry.budget",
                                          "models[].retry.on",
                                          "models[].upstream_name",
                                          "prometheus",
                                          "prometheus.url",
                                          "region",
                                          "region.hold",
                                          "region.leave",
                                          "region.leave.errors",
                                          "region.leave.first_token_p95",
                                          "region.return_step",
                                          "region.self",
                                          "secret",
                                          "shedding",
                                          "shedding.priorities",
                                          "shedding.queue",
                                          "shedding.target",
                                          "store",
                                          "store.max_lag",
                                          "store.pool",
                                          "store.pool.acquire_timeout",
                                          "store.pool.idle",
                                          "store.pool.max",
                                          "store.pool.total",
                                          "store.replicas",
                                          "store.url",
                                          "store.usage",
                                          "store.usage.flush",
                                          "store.usage.keep",
                                          "store.usage.queue",
                                          "store.usage.record_text",
                                          "tenants",
                                          "tenants[].cache",
                                          "tenants[].cache.scope",
                                          "tenants[].limits",
                                          "tenants[].models",
                                          "tenants[].name",
                                          "tracing",
                                          "tracing.endpoint",
                                          "tracing.incoming",
                                          "tracing.record_text",
                                          "tracing.ring",
                                          "tracing.sample",
                                          "tracing.slow"};

// What was found to be missing from the contract (ADR 6).
constexpr std::string_view kAdded[] = {
    "engines[].simulated",
    "engines[].simulated.seed",
    "engines[].simulated.first_token",
    "engines[].simulated.first_token_sigma",
    "engines[].simulated.tokens_per_second",
    "engines[].simulated.tokens",
    "engines[].simulated.errors",
    "engines[].simulated.stalls",
    "engines[].simulated.disconnects",
    "engines[].simulated.rate_limited",
    "engines[].simulated.slots",
    "engines[].simulated.queue",
    "limits.global",
    "limits.models[].requests",
    "limits.models[].tokens",
    "limits.models[].inflight",
    "limits.models[].spend",
    "limits.models[].spend.day",
    "limits.models[].spend.month",
    "limits.global.requests",
    "limits.global.tokens",
    "limits.global.inflight",
    "limits.global.spend",
    "limits.global.spend.day",
    "limits.global.spend.month",
    "tenants[].limits.requests",
    "tenants[].limits.tokens",
    "tenants[].limits.inflight",
    "tenants[].limits.spend",
    "tenants[].limits.spend.day",
    "tenants[].limits.spend.month",
};

TEST(Table, HasTheContractsPathsAndTheAddedOnesAndNoOthers) {
  std::set<std::string_view> wanted(std::begin(kContract), std::end(kContract));
  wanted.insert(std::begin(kAdded), std::end(kAdded));
  std::set<std::string_view> here;
  for (const Key& key : table()) EXPECT_TRUE(here.insert(key.path).second) << key.path << " twice";
  EXPECT_EQ(here, wanted);
}

TEST(Table, HasASectionBeforeItsKeys) {
  std::set<std::string, std::less<>> sections{""};
  for (const Key& key : table()) {
    EXPECT_TRUE(sections.contains(key.parent())) << key.path;
    if (key.type == Type::section) sections.emplace(key.path);
    if (key.type == Type::sections || key.type == Type::named)
      sections.emplace(std::string(key.path) + "[]");
  }
}

TEST(Table, HasAFieldForEachValueThatExistsAndForNoOther) {
  for (const Key& key : table()) {
    const bool list = key.type == Type::sections || key.type == Type::named;
    const bool section = key.type == Type::section || list;
    // A section has one where a word may stand for it.
    const bool has_value = !section || !key.words.empty();
    EXPECT_EQ(key.field != nullptr, key.later.empty() && has_value) << key.path;
    EXPECT_EQ(key.add != nullptr, key.later.empty() && list) << key.path;
    if (key.later.empty()) {
      EXPECT_FALSE(key.help.empty()) << key.path;
    }
    EXPECT_EQ(key.least.empty(), key.most.empty()) << key.path;
  }
}

TEST(Table, KeysOfASectionToComeAreToCome) {
  EXPECT_EQ(find("breaker.window")->later, find("breaker")->later);
  EXPECT_EQ(find("listen.tls.certificates[].key")->later, find("listen.tls")->later);
  for (const Key& key : table()) {
    const Key* around = find(key.parent());
    if (around != nullptr && !around->later.empty()) {
      EXPECT_FALSE(key.later.empty()) << key.path;
    }
  }
}

TEST(Table, EveryDefaultAndBoundIsAValueOfItsKey) {
  std::size_t checked = 0;
  for (const Key& key : table()) {
    if (key.type == Type::section || key.type == Type::sections || key.type == Type::named ||
        key.type == Type::texts || key.type == Type::values || key.standard.empty()) {
      continue;
    }
    EXPECT_TRUE(value_of(key, key.standard)) << key.path << ": " << key.standard;
    if (!key.least.empty()) {
      EXPECT_TRUE(value_of(key, key.least)) << key.path;
    }
    if (!key.most.empty()) {
      EXPECT_TRUE(value_of(key, key.most)) << key.path;
    }
    ++checked;
  }
  EXPECT_GT(checked, 100u);
}

TEST(Table, EveryDefaultIsTheOneOfTheStruct) {
  Settings settings;
  EngineSettings engine;
  ModelSettings model;
  Tenant tenant;
  NamedQuotas quotas;
  Budget budget;
  std::size_t checked = 0;
  for (const Key& key : table()) {
    if (key.field == nullptr || key.standard.empty()) continue;
    void* object = &settings;
    if (key.path.starts_with("engines[]")) object = &engine;
    if (key.path.starts_with("models[]")) object = &model;
    if (key.path.starts_with("tenants[]")) object = &tenant;
    if (key.path.starts_with("limits.models[]")) object = &quotas;
    if (key.path.starts_with("budgets[]")) object = &budget;
    const std::string own = written(key, object, false);
    if (key.type == Type::texts || key.type == Type::values) {
      EXPECT_EQ(own, key.standard) << key.path;
      continue;
    }
    put(key, object, *value_of(key, key.standard));
    EXPECT_EQ(written(key, object, false), own) << key.path;
    ++checked;
  }
  EXPECT_EQ(settings, Settings{});
  EXPECT_EQ(engine, EngineSettings{});
  EXPECT_EQ(model, ModelSettings{});
  EXPECT_EQ(tenant, Tenant{});
  EXPECT_EQ(quotas, NamedQuotas{});
  EXPECT_EQ(budget, Budget{});
  EXPECT_GT(checked, 40u);
}

TEST(Table, NumbersAreHeldToTheirRange) {
  const Key& workers = *find("listen.workers");
  EXPECT_TRUE(value_of(workers, "1"));
  EXPECT_TRUE(value_of(workers, "1024"));
  EXPECT_TRUE(value_of(workers, "auto"));
  EXPECT_EQ(value_of(workers, "0").error().reason, "it is too small");
  EXPECT_EQ(value_of(workers, "1025").error().reason, "it is too large");
  EXPECT_EQ(expected(workers), "a whole number from 1 to 1024, or auto");

  EXPECT_TRUE(value_of(*find("engines[].simulated.seed"), "18446744073709551615"));
  EXPECT_FALSE(value_of(*find("breaker.probes"), "4294967296"));
  EXPECT_FALSE(value_of(*find("engines[].simulated.tokens_per_second"), "0"));
  EXPECT_FALSE(value_of(*find("listen.limits.drain"), "2h"));
}

TEST(Table, OriginsAreAsBrowsersWriteThem) {
  const Key& origins = *find("listen.cors.origins");
  for (const char* good : {"*", "https://app.example", "http://127.0.0.1:3000", "http://[::1]:3000",
                           "chrome-extension://abc", "capacitor://localhost"}) {
    EXPECT_TRUE(value_of(origins, good)) << good;
  }
  const auto fault = [&](const char* bad) {
    const auto value = value_of(origins, bad);
    return value ? "good" : value.error().reason;
  };
  EXPECT_EQ(fault("app.example"), "the scheme is missing: https://app.example");
  EXPECT_EQ(fault(""), "the scheme is missing: https://app.example");
  EXPECT_EQ(fault("null"), "the scheme is missing: https://app.example");
  EXPECT_EQ(fault("https://app.example/"), "an origin has no path, and no / at its end");
  EXPECT_EQ(fault("https://app.example/chat"), "an origin has no path, and no / at its end");
  EXPECT_EQ(fault("https://*.example"), "`*` stands only alone");
  EXPECT_EQ(fault("https://App.example"), "browsers write origins in lower case");
  EXPECT_EQ(fault("https://app.example:443"), "browsers leave out the usual port");
  EXPECT_EQ(fault("http://app.example:80"), "browsers leave out the usual port");
  EXPECT_EQ(fault("https://"), "the host is missing");
  EXPECT_EQ(fault("https://a b"), "it has spaces, control or non-ASCII characters");
}

TEST(Table, TextsAreHeldToTheirForm) {
  const Key& name = *find("engines[].name");
  EXPECT_TRUE(value_of(name, "gpu-a_1.x"));
  for (const std::string& text : {std::string(), std::string("a b"), std::string(65, 'a')}) {
    EXPECT_FALSE(value_of(name, text)) << text;
  }
  const Key& model = *find("models[].name");
  EXPECT_TRUE(value_of(model, "meta-llama/Llama-3.1-8B-Instruct"));
  EXPECT_FALSE(value_of(model, "a\nb"));
  EXPECT_FALSE(value_of(*find("engines[].api_key"), "sk-a\r\nx: y"));
  EXPECT_FALSE(value_of(*find("engines[].headers"), "a\nb"));
  EXPECT_FALSE(value_of(*find("metrics.path"), "metrics"));
  EXPECT_FALSE(value_of(*find("metrics.path"), "/metrics?x"));
}

TEST(Table, AnEmptyTextIsAnOptionThatIsNotUsed) {
  EXPECT_TRUE(value_of(*find("admin.token"), ""));
  EXPECT_TRUE(value_of(*find("models[].upstream_name"), ""));
  EXPECT_FALSE(value_of(*find("models[].aliases"), ""));
  EXPECT_FALSE(value_of(*find("metrics.path"), ""));
}

}  // namespace
}  // namespace penstock::settings
