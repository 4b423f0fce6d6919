// The table, third part: what holds engines up, and the machine.
#include "settings/table.h"

namespace penstock::settings {
namespace {

constexpr std::string_view kRegions = "regions are still to come";
constexpr std::string_view kBalancing = "several engines for one model are still to come";

}  // namespace

std::vector<Key> resilience_keys() {
  return {
      {.path = "region", .later = kRegions, .help = "Regions, and when to leave one."},
      {.path = "region.self", .type = Type::text, .help = "Where this gateway stands."},
      {.path = "region.leave", .help = "When the next region is tried."},
      {.path = "region.leave.first_token_p95", .type = Type::duration, .standard = "5s"},
      {.path = "region.leave.errors", .type = Type::ratio, .standard = "10%"},
      {.path = "region.return_step",
       .type = Type::ratio,
       .standard = "10%",
       .help = "What comes back at once when it is well again."},
      {.path = "region.hold", .type = Type::duration, .standard = "1m"},

      {.path = "breaker",
       .later = "circuit breakers are still to come",
       .help = "Leaves an engine alone while it fails."},
      {.path = "breaker.failure_ratio", .type = Type::ratio, .standard = "50%"},
      {.path = "breaker.minimum_calls", .type = Type::integer, .standard = "20"},
      {.path = "breaker.consecutive", .type = Type::integer, .standard = "5"},
      {.path = "breaker.window", .type = Type::duration, .standard = "10s"},
      {.path = "breaker.open_for", .type = Type::duration, .standard = "5s"},
      {.path = "breaker.open_max", .type = Type::duration, .standard = "60s"},
      {.path = "breaker.probes", .type = Type::integer, .standard = "3"},

      {.path = "ejection", .help = "What calls that fail say of an engine's health."},
      {.path = "ejection.consecutive",
       .type = Type::integer,
       .standard = "5",
       .least = "1",
       .most = "1000000",
       .unit = "calls in a row",
       .help = "That failed (no connection, a time-out, a 5xx, a malformed answer) make an engine "
               "unhealthy; the next that is answered makes it healthy. An engine that is the only "
               "one for its model is asked all the same.",
       .field = at<Settings>([](auto& s) { return &s.ejection.consecutive; })},
      {.path = "ejection.max_ejected",
       .type = Type::ratio,
       .standard = "50%",
       .later = kBalancing,
       .help = "Of a model's engines; with more out than this, all are used."},
      {.path = "ejection.slow_start",
       .type = Type::duration,
       .standard = "2s",
       .later = kBalancing,
       .help = "How long an engine that is back takes to its full share, from half of it."},

      {.path = "shedding",
       .later = "shedding is still to come",
       .help = "Refuses early what could not be answered in time."},
      {.path = "shedding.target",
       .type = Type::integer,
       .standard = "adaptive",
       .special = "adaptive"},
      {.path = "shedding.queue", .type = Type::duration, .standard = "5s"},
      {.path = "shedding.priorities",
       .type = Type::texts,
       .standard = "[interactive, batch]",
       .help = "The last is refused first."},

      {.path = "memory", .help = "What the program may take."},
      {.path = "memory.limit",
       .type = Type::size,
       .standard = "auto",
       .least = "32MiB",
       .most = "1048576GiB",
       .special = "auto",
       .help = "`auto` is the cgroup's, or the machine's. At 80% of it the cache shrinks, at 92% "
               "connections close after their answer and questions of priority batch are refused, "
               "at 95% large bodies and all new questions.",
       .field = at<Settings>([](auto& s) { return &s.memory.limit; })},

      {.path = "secret",
       .type = Type::text,
       .secret = true,
       .help = "The same on all nodes, PENSTOCK_SECRET where it is not set here: the pepper of "
               "keys is derived from it. Without one the "
               "store keeps one that it made up. Whoever changes it makes all keys unknown.",
       .field = at<Settings>([](auto& s) { return &s.secret; })},
  };
}

}  // namespace penstock::settings
