// `penstock metrics`: every metric with its type, labels and meaning. What it prints is
// docs/reference/metrics.md.
//
// Nothing is written down twice: each part of the program declares its metrics in a registry that
// nobody scrapes, one condition after the other, and what is new in it is what the condition
// brings.

#include <fmt/format.h>

#include <map>
#include <set>

#include "access/access.h"
#include "admin/admin.h"
#include "app/budget_keeper.h"
#include "app/commands.h"
#include "app/help.h"
#include "app/program_metrics.h"
#include "app/telemetry.h"
#include "engagement/engagement.h"
#include "gateway/gateway.h"
#include "http/pool.h"
#include "observe/process.h"
#include "redis/metrics.h"
#include "store/meters.h"

namespace penstock::app {
namespace {

using observe::Registry;

constexpr std::string_view kHead = R"(# Metrics

Written by `penstock metrics`. [Watching it](../metrics.md) says how they are read. Every series is
there from the start, at 0, but for what only comes with an event: a method or status code that is
rare, the name of a database operation. The values of `engine` and `model` are those of the
configuration; beyond `metrics.max_label_values`, and for models that only the engine knows, it is
`other`. The unit is in the name: seconds, bytes, cores; what has none is a count, and money is in the
currency of the prices.

)";

constexpr const char* kSettings = R"(
engines: [{name: e, kind: simulated}]
models: [{name: m, engines: [e]}]
)";

void declare_always(Registry& registry, observe::Log& log, gateway::House& house,
                    const settings::Settings& settings) {
  observe::Shard& worker = registry.shard(0);
  observe::watch_process(registry);
  watch_log(registry, log);
  const ProgramMetrics program(registry.shard(1));
  const Telemetry telemetry(house, registry, log, settings);
  const WorkerMetrics of_worker(worker, 0);
  const http::ServerMetrics server(worker);
  const gateway::Metrics gateway(worker, house.bounds);
  const Result<void> opened = house.engines.open(settings);  // it asks nobody how it is
  static_cast<void>(opened);
  const gateway::EngineMetrics engine(worker, "e", "m", house.engines.vitals("e"), house.bounds,
                                      nullptr);
  watch_budgets(registry, house.budgets);
  const engagement::Engagement engagement({}, registry);
  admin::Admin::declare(registry);
  store::Ledger::declare(registry);
  const std::array<std::string_view, 1> states = {"08"};
  store::Meters meters(registry, states);
  meters.asked("append_usage", Duration::zero());
  store::show(registry, {}, {});
}

// Labels whose values are names, numbers or versions: to be told would say nothing.
bool names_things(std::string_view label) {
  static const std::set<std::string_view> kOpen = {"engine",
                                                   "model",
                                                   "tenant",
                                                   "worker",
                                                   "server",
                                                   "replica",
                                                   "version",
                                                   "code",
                                                   "operation",
                                                   "state",
                                                   "sqlstate_class",
                                                   "command",
                                                   "budget",
                                                   "gen_ai_provider_name",
                                                   "gen_ai_request_model"};
  return kOpen.contains(label);
}

std::string labels_of(const Registry::Entry& entry) {
  std::string out;
  for (const auto& [label, values] : entry.labels) {
    if (!out.empty()) out += "; ";
    out += '`' + label + '`';
    if (names_things(label)) continue;
    out += " = ";
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i > 0) out += ", ";
      out += values[i];
    }
  }
  return out;
}

std::string_view name_of(observe::Type type) {
  switch (type) {
    case observe::Type::counter: return "counter";
    case observe::Type::gauge: return "gauge";
    case observe::Type::histogram: break;
  }
  return "histogram";
}

std::string page() {
  const Result<settings::SettingsPtr, settings::Problems> settings =
      settings::parse(kSettings, "none", [](const std::string&) { return std::nullopt; });
  observe::Log log({});
  Registry registry(2);
  gateway::House house(**settings, registry, log);
  std::string out(kHead);
  std::set<std::string> told;
  std::vector<std::pair<std::string, std::vector<std::string>>> parts;
  const auto part = [&](std::string title) {
    std::vector<std::string> fresh;
    for (const Registry::Entry& entry : registry.catalogue()) {
      if (told.insert(entry.name).second) fresh.push_back(entry.name);
    }
    parts.emplace_back(std::move(title), std::move(fresh));
  };
  declare_always(registry, log, house, **settings);
  part("Always");
  const http::PoolMetrics pool(registry.shard(0), "e");
  part("For each engine of kind `openai`");
  access::KeyBook::declare(registry);
  part("With `auth.mode: keys` or `jwt`");
  access::Tokens::declare(registry);
  part("With `auth.mode: jwt`");
  const redis::Metrics redis(registry.shard(0));
  const auto standing = redis::Standing::make(registry);
  limit::Shared::show(registry, {});
  part("With `cache.redis.urls`");
  store::show(registry, {}, {"r"});
  part("With `store.replicas`");
  const gateway::TenantMetrics tenant(registry.shard(0), "t");
  part("With `metrics.tenants`");
  for (const Endpoint endpoint : {Endpoint::chat, Endpoint::completions, Endpoint::embeddings}) {
    const gateway::GenAiMetrics conventions(registry.shard(0), {"e", "openai", "m", endpoint});
  }
  part("With `OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental` in the environment");

  std::map<std::string, Registry::Entry> all;
  std::map<std::vector<double>, std::vector<std::string>> buckets;
  for (Registry::Entry& entry : registry.catalogue()) {
    if (!entry.bounds.empty()) buckets[entry.bounds].push_back(entry.name);
    all[entry.name] = std::move(entry);
  }
  for (const auto& [title, names] : parts) {
    out += fmt::format("## {}\n\n| metric | type | labels | what it says |\n|---|---|---|---|\n",
                       title);
    for (const std::string& name : names) {
      const Registry::Entry& entry = all[name];
      out += fmt::format("| `{}` | {} | {} | {} |\n", name, name_of(entry.type), labels_of(entry),
                         entry.help);
    }
    out += '\n';
  }
  out += "## Buckets\n\n| upper bounds | of |\n|---|---|\n";
  for (const auto& [bounds, names] : buckets) {
    std::string their_names;
    for (const std::string& name : names) {
      their_names += fmt::format("{}`{}`", their_names.empty() ? "" : ", ", name);
    }
    out += fmt::format("| {} | {} |\n", fmt::join(bounds, " "), their_names);
  }
  return out;
}

}  // namespace

int metrics_command() { return print_page("penstock metrics", page()); }

}  // namespace penstock::app
