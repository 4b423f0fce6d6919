#include "store/meters.h"

namespace penstock::store {
namespace {

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string_view name_of(Role role) { return role == Role::primary ? "primary" : "replica"; }

const Health* find(const std::vector<Health>& all, Role role, std::string_view name) {
  for (const Health& one : all) {
    if (one.role == role && (role == Role::primary || one.name == name)) return &one;
  }
  return nullptr;
}

}  // namespace

Meters::Meters(observe::Registry& registry, std::span<const std::string_view> states)
    : registry_(registry) {
  for (const std::string_view state : states) states_.emplace(state, errors(state));
  for (const Role role : {Role::primary, Role::replica}) {
    const observe::Labels labels = {{"role", std::string(name_of(role))}};
    const auto at = static_cast<std::size_t>(role);
    waits_[at] = shard().histogram("penstock_db_pool_wait_seconds",
                                   "Wait for a connection of the pool.", observe::kFast, labels);
    timeouts_[at] = shard().counter("penstock_db_pool_timeouts_total",
                                    "Waits for a connection that ended without one.", labels);
  }
}

observe::Counter Meters::errors(std::string_view state) {
  return shard().counter("penstock_db_errors_total",
                         "Errors of the database, by the class of SQLSTATE or SQLite's code.",
                         {{"sqlstate_class", std::string(state)}});
}

void Meters::asked(std::string_view operation, Duration took) {
  const std::lock_guard lock(mutex_);
  auto at = operations_.find(operation);
  if (at == operations_.end()) {
    observe::Histogram made =
        shard().histogram("penstock_db_query_duration_seconds",
                          "Time of a database operation, without the wait for a connection.",
                          observe::kFast, {{"operation", std::string(operation)}});
    at = operations_.emplace(std::string(operation), made).first;
  }
  at->second.observe(seconds(took));
}

void Meters::failed(std::string_view state) {
  const std::lock_guard lock(mutex_);
  auto at = states_.find(state);
  if (at == states_.end()) at = states_.emplace(std::string(state), errors(state)).first;
  at->second.add();
}

void Meters::waited(Role role, Duration took) {
  const std::lock_guard lock(mutex_);
  waits_[static_cast<std::size_t>(role)].observe(seconds(took));
}

void Meters::pool_timed_out(Role role) {
  const std::lock_guard lock(mutex_);
  timeouts_[static_cast<std::size_t>(role)].add();
}

void show(observe::Registry& registry, const std::weak_ptr<const Gauges>& of,
          const std::vector<std::string>& replicas) {
  using Read = std::function<double(const Gauges&)>;
  const auto watch = [&](std::string_view name, std::string_view help, observe::Labels labels,
                         Read read) {
    registry.watch(observe::Type::gauge, name, help, std::move(labels),
                   [of, read = std::move(read)]() -> std::optional<double> {
                     const std::shared_ptr<const Gauges> gauges = of.lock();
                     if (!gauges) return std::nullopt;
                     return read(*gauges);
                   });
  };
  const auto server = [&](Role role, const std::string& name) {
    const std::string role_name(name_of(role));
    const auto of_it = [role, name](double (*figure)(const Health&)) -> Read {
      return [role, name, figure](const Gauges& gauges) {
        const std::vector<Health> all = gauges.health();
        const Health* const one = find(all, role, name);
        return one == nullptr ? 0.0 : figure(*one);
      };
    };
    observe::Labels who = {{"role", role_name}, {"server", name}};
    watch("penstock_db_up", "Whether the database's server answers.", who,
          of_it([](const Health& one) { return one.up ? 1.0 : 0.0; }));
    if (role == Role::replica) {
      watch("penstock_db_replica_lag_seconds", "How far a replica is behind.", {{"replica", name}},
            of_it([](const Health& one) { return one.lag ? seconds(*one.lag) : 0.0; }));
    }
  };
  server(Role::primary, "primary");
  for (const std::string& name : replicas) server(Role::replica, name);

  const auto connections = [&](Role role, std::string state, double (*figure)(const Health&)) {
    watch("penstock_db_pool_connections", "Open connections to the database.",
          {{"role", std::string(name_of(role))}, {"state", std::move(state)}},
          [role, figure](const Gauges& gauges) {
            double sum = 0;
            for (const Health& one : gauges.health()) {
              if (one.role == role) sum += figure(one);
            }
            return sum;
          });
  };
  for (const Role role : {Role::primary, Role::replica}) {
    if (role == Role::replica && replicas.empty()) continue;
    connections(role, "idle", [](const Health& one) { return static_cast<double>(one.idle); });
    connections(role, "used",
                [](const Health& one) { return static_cast<double>(one.connections - one.idle); });
  }
  watch("penstock_db_pool_connections_max",
        "Connections that this node may open, its share of all.", {},
        [](const Gauges& gauges) { return gauges.connections_max(); });
  watch("penstock_db_pool_pending_requests", "Who waits for a connection.", {},
        [](const Gauges& gauges) { return gauges.pending(); });
}

void hide(std::shared_ptr<Gauges>& gauges) {
  const std::weak_ptr<Gauges> left = gauges;
  gauges.reset();
  while (!left.expired()) std::this_thread::yield();
}

}  // namespace penstock::store
