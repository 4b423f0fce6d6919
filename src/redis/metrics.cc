#include "redis/metrics.h"

#include <algorithm>

namespace penstock::redis {
namespace {

constexpr std::array<std::string_view, Metrics::kCommands> kNames = {
    "EVALSHA", "GET",    "SET",     "MGET",   "DEL",   "INCRBY",   "EXPIRE",
    "HELLO",   "SELECT", "PING",    "SCRIPT", "PFADD", "PFCOUNT",  "PUBLISH",
    "PFMERGE", "HSET",   "HGETALL", "UNLINK", "SETNX", "GETRANGE", "other"};

constexpr std::array<std::string_view, Metrics::kFaults> kFaults = {
    "connect", "timeout", "broken", "unavailable", "refused", "away"};

}  // namespace

std::size_t command_index(std::string_view command) {
  return static_cast<std::size_t>(std::find(kNames.begin(), kNames.end() - 1, command) -
                                  kNames.begin());
}

std::shared_ptr<Standing> Standing::make(observe::Registry& registry) {
  auto standing = std::make_shared<Standing>();
  registry.watch(observe::Type::gauge, "penstock_redis_up", "1 while Redis can be reached.", {},
                 [standing]() -> std::optional<double> {
                   if (standing->none()) return std::nullopt;
                   return standing->up() ? 1 : 0;
                 });
  return standing;
}

Metrics::Metrics(observe::Shard& shard)
    : connections(shard.gauge("penstock_redis_connections",
                              "Connections to Redis that are ready for commands.", {})) {
  for (std::size_t i = 0; i < kCommands; ++i) {
    durations[i] = shard.histogram("penstock_redis_command_duration_seconds",
                                   "Time from a command to Redis's answer.", observe::kFast,
                                   {{"command", std::string(kNames[i])}});
  }
  for (std::size_t i = 0; i < penstock::redis::kFaults.size(); ++i) {
    errors[i] = shard.counter("penstock_redis_errors_total",
                              "What went wrong with Redis: one a command or connection.",
                              {{"kind", std::string(penstock::redis::kFaults[i])}});
  }
}

}  // namespace penstock::redis
