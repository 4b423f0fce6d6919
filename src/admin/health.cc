// The status page, and health: a word for probes, and by component.
#include <algorithm>

#include "admin/desk.h"
#include "dialect/json.h"

namespace penstock::admin {
namespace {

constexpr Duration kStuck = 10s;  // a loop that has not turned for so long is not alive
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

}  // namespace

void Admin::Desk::page(http::Request&, http::Reply& reply) {
  begin(reply, 200, "text/html; charset=utf-8");
  reply.field("content-security-policy", kPolicy);
  reply.field("x-content-type-options", "nosniff");
  reply.field("referrer-policy", "no-referrer");
  reply.field("cache-control", "no-cache");
  reply.finish(kPage);
}

void Admin::Desk::script(http::Request&, http::Reply& reply) {
  begin(reply, 200, "text/javascript; charset=utf-8");
  reply.field("x-content-type-options", "nosniff");
  reply.field("cache-control", "no-cache");
  reply.finish(kScript);
}

bool Admin::Desk::alive() const { return program_.status().oldest_beat < kStuck; }

void Admin::Desk::health_word(http::Reply& reply, bool good) {
  begin(reply, good ? 200 : 503, "application/health+json");
  reply.field("cache-control", "no-store");
  reply.finish(good ? R"({"status":"pass"})" : R"({"status":"fail"})");
}

void Admin::Desk::livez(http::Request&, http::Reply& reply) { health_word(reply, alive()); }

void Admin::Desk::readyz(http::Request&, http::Reply& reply) {
  health_word(reply, house_.ready && !house_.draining && alive() && house_.engines.ready());
}

void Admin::Desk::startupz(http::Request&, http::Reply& reply) { health_word(reply, house_.ready); }

void Admin::Desk::health(http::Request&, http::Reply& reply) {
  const bool live = alive();
  const bool ready = house_.ready && !house_.draining && house_.engines.ready();
  const std::vector<engine::Health> engines = house_.engines.health();
  const std::vector<store::Health> stores =
      house_.database != nullptr ? house_.database->health() : std::vector<store::Health>();
  const bool redis = !house_.redis || house_.redis->standing->up();
  const bool roomy = house_.memory.level() < http::MemoryGate::Level::close;
  // Requests go on without the last three, and each of them is worth a look.
  const bool good = redis && roomy &&
                    std::all_of(engines.begin(), engines.end(),
                                [](const engine::Health& engine) { return engine.good; }) &&
                    std::all_of(stores.begin(), stores.end(),
                                [](const store::Health& one) { return one.reason.empty(); });
  const auto word = [&](bool fine) { return fine ? "pass" : ready ? "warn" : "fail"; };
  scratch_.clear();
  dialect::JsonWriter json(scratch_);
  json.begin_object().member("status", live ? word(ready && good) : "fail");
  json.member("version", PENSTOCK_VERSION).key("checks").begin_object();
  const auto one = [&](std::string_view name, std::string_view status, std::string_view output) {
    json.key(name).begin_array().begin_object().member("status", status);
    if (!output.empty()) json.member("output", output);
    json.end_object().end_array();
  };
  one("workers", live ? "pass" : "fail", live ? "" : "a worker's loop does not turn");
  one("listener", ready ? "pass" : "fail", house_.draining ? "draining" : "");
  for (const engine::Health& engine : engines) {
    one("engine:" + engine.name,
        engine.good              ? "pass"
        : engine.usable || ready ? "warn"
                                 : "fail",
        engine.detail);
  }
  for (const store::Health& one_store : stores) {
    const bool replica = one_store.role == store::Role::replica;
    one(replica ? "replica:" + one_store.name : "database",
        one_store.up && one_store.reason.empty() ? "pass" : "warn", one_store.reason);
  }
  if (house_.redis) one("redis", redis ? "pass" : "warn", redis ? "" : "it cannot be reached");
  one("memory", roomy ? "pass" : "warn", roomy ? "" : "near memory.limit");
  json.end_object().end_object();
  begin(reply, live && ready ? 200 : 503, "application/health+json");
  reply.field("cache-control", "no-store");
  reply.finish(scratch_);
}

}  // namespace penstock::admin
