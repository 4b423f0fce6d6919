#include "admin/service_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>

namespace penstock::admin {
namespace {

using Reading = observe::Registry::Reading;

constexpr std::string_view kClients = "clients";
constexpr std::string_view kGateway = "gateway";
// A window's oldest sample may be this much older than the window.
constexpr Duration kSlack = 2s;

std::string_view label(const Reading& reading, std::string_view name) {
  for (const auto& [key, value] : reading.labels) {
    if (key == name) return value;
  }
  return {};
}

// The ways there are, by where they lead and what goes there.
class Ways {
 public:
  Passed& at(std::string_view from, std::string to, std::string_view what) {
    for (Passed& one : all_) {
      if (one.from == from && one.to == to && one.what == what) return one;
    }
    Passed& made = all_.emplace_back();
    made.from = from;
    made.to = std::move(to);
    made.what = what;
    return made;
  }
  std::vector<Passed> take() { return std::move(all_); }

 private:
  std::vector<Passed> all_;
};

void add_times(Passed& to, const Reading& reading) {
  to.seconds += reading.sum;
  to.buckets.resize(std::max(to.buckets.size(), reading.buckets.size()));
  for (std::size_t i = 0; i < reading.buckets.size(); ++i) to.buckets[i] += reading.buckets[i];
}

bool failed_call(std::string_view outcome) {
  return outcome != "success" && outcome != "client_error" && outcome != "cancelled";
}

// Of those that were timed, in milliseconds, by the bounds of their buckets; what lies beyond the
// last is told as that.
std::optional<double> quantile(double share, std::span<const double> counts,
                               std::span<const double> bounds) {
  double all = 0;
  for (const double count : counts) all += count;
  if (all <= 0 || bounds.empty()) return std::nullopt;
  const double rank = share * all;
  double below = 0;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    if (below + counts[i] >= rank && counts[i] > 0) {
      const double lower = i == 0 ? 0 : bounds[i - 1];
      return 1000 * (lower + (bounds[i] - lower) * (rank - below) / counts[i]);
    }
    below += counts[i];
  }
  return 1000 * bounds.back();
}

const Passed* find(const std::vector<Passed>& in, const Passed& like) {
  const auto found = std::find_if(in.begin(), in.end(), [&](const Passed& one) {
    return one.from == like.from && one.to == like.to && one.what == like.what;
  });
  return found == in.end() ? nullptr : &*found;
}

Edge edge_of(const Passed& now, const Passed* before, double seconds,
             std::span<const double> bounds) {
  const Passed nothing;
  const Passed& old = before != nullptr ? *before : nothing;
  Edge edge;
  edge.from = now.from;
  edge.to = now.to;
  edge.what = now.what;
  const double requests = now.requests - old.requests, errors = now.errors - old.errors;
  if (seconds > 0) edge.per_second = requests / seconds;
  // What failed without being sent is no request there, and one that failed.
  if (errors > 0) edge.errors_ratio = errors / std::max(requests, errors);
  std::vector<double> counts = now.buckets;
  double timed = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (i < old.buckets.size()) counts[i] -= old.buckets[i];
    timed += counts[i];
  }
  if (timed <= 0) return edge;
  edge.mean_ms = 1000 * (now.seconds - old.seconds) / timed;
  edge.p50_ms = quantile(0.5, counts, bounds);
  edge.p95_ms = quantile(0.95, counts, bounds);
  edge.p99_ms = quantile(0.99, counts, bounds);
  return edge;
}

// Which histogram a way's times are of.
std::string_view histogram_of(const Passed& passed) {
  if (passed.from == kClients) return "penstock_http_request_duration_seconds";
  if (passed.to == "redis") return "penstock_redis_command_duration_seconds";
  if (passed.to == "database") return "penstock_db_query_duration_seconds";
  if (passed.to == "jwks") return "penstock_external_requests_duration_seconds";
  return "penstock_engine_request_duration_seconds";
}

std::string name_behind(const std::string& id) { return id.substr(id.find(':') + 1); }

}  // namespace

// ---- what is counted ----------------------------------------------------------------------------

std::vector<Passed> ServiceMap::read() const {
  Ways ways;
  for (const Reading& one : registry_.readings("penstock_http_requests_total")) {
    Passed& to = ways.at(kClients, std::string(kGateway), label(one, "route"));
    to.requests += one.value;
    if (label(one, "code").starts_with('5')) to.errors += one.value;
  }
  for (const Reading& one : registry_.readings("penstock_http_request_duration_seconds")) {
    add_times(ways.at(kClients, std::string(kGateway), label(one, "route")), one);
  }
  const auto engine = [](const Reading& one) {
    return fmt::format("engine:{}", label(one, "engine"));
  };
  for (const Reading& one : registry_.readings("penstock_engine_requests_total")) {
    Passed& to = ways.at(kGateway, engine(one), label(one, "model"));
    to.requests += one.value;
    if (failed_call(label(one, "outcome"))) to.errors += one.value;
  }
  for (const Reading& one : registry_.readings("penstock_engine_request_duration_seconds")) {
    add_times(ways.at(kGateway, engine(one), label(one, "model")), one);
  }
  const auto timed = [&](std::string_view histogram, std::string_view errors, const char* to,
                         const char* what) {
    for (const Reading& one : registry_.readings(histogram)) {
      Passed& way = ways.at(kGateway, to, what);
      way.requests += one.value;
      add_times(way, one);
    }
    for (const Reading& one : registry_.readings(errors)) {
      ways.at(kGateway, to, what).errors += one.value;
    }
  };
  timed("penstock_redis_command_duration_seconds", "penstock_redis_errors_total", "redis",
        "commands");
  timed("penstock_db_query_duration_seconds", "penstock_db_errors_total", "database", "queries");
  for (const Reading& one : registry_.readings("penstock_external_requests_total")) {
    if (label(one, "target") != "jwks") continue;  // checks of engines are none of their work
    Passed& to = ways.at(kGateway, "jwks", "keys");
    to.requests += one.value;
    if (label(one, "result") == "error") to.errors += one.value;
  }
  for (const Reading& one : registry_.readings("penstock_external_requests_duration_seconds")) {
    if (label(one, "target") == "jwks") add_times(ways.at(kGateway, "jwks", "keys"), one);
  }
  double sent = 0, lost = 0;
  for (const Reading& one : registry_.readings("penstock_telemetry_spans_total")) {
    (label(one, "result") == "exported" ? sent : lost) += one.value;
  }
  if (sent + lost > 0) {
    Passed& to = ways.at(kGateway, "otlp", "spans");
    to.requests = sent + lost;
    to.errors = lost;
  }
  return ways.take();
}

void ServiceMap::look(Time now) {
  if (!samples_.empty() && now - samples_.back().at < kEach) return;
  samples_.push_back({now, read()});
  // One that is as old as the window stays.
  while (samples_.size() > 1 && now - samples_[1].at >= kWindow) samples_.pop_front();
}

ServiceMap::Drawn ServiceMap::draw(Time now) const {
  Drawn map;
  const std::vector<Passed> passed = read();
  const Sample* before = nullptr;
  for (const Sample& one : samples_) {
    if (before == nullptr || now - one.at >= kWindow - kSlack) before = &one;
  }
  if (before != nullptr) map.seconds = std::chrono::duration<double>(now - before->at).count();

  std::map<std::string, bool> engines;
  for (const Reading& one : registry_.readings("penstock_engine_healthy")) {
    engines[std::string(label(one, "engine"))] = one.value > 0;
  }
  const auto any_up = [&](std::string_view name) -> std::optional<bool> {
    const std::vector<Reading> all = registry_.readings(name);
    if (all.empty()) return std::nullopt;
    return std::any_of(all.begin(), all.end(), [](const Reading& one) { return one.value > 0; });
  };
  std::map<std::string_view, std::vector<double>, std::less<>> bounds;
  map.nodes.push_back({std::string(kClients), "clients", "clients", std::nullopt});
  map.nodes.push_back({std::string(kGateway), "gateway", "penstock", any_up("penstock_ready")});
  for (const Passed& one : passed) {
    const std::string_view histogram = histogram_of(one);
    if (!bounds.contains(histogram)) bounds[histogram] = registry_.bounds(histogram);
    map.edges.push_back(edge_of(one, before != nullptr ? find(before->passed, one) : nullptr,
                                map.seconds, bounds[histogram]));
    const bool known = std::any_of(map.nodes.begin(), map.nodes.end(),
                                   [&](const Node& node) { return node.id == one.to; });
    if (known) continue;
    Node node{one.to, one.to, one.to, std::nullopt};
    if (one.to.starts_with("engine:")) {
      node.kind = "engine";
      node.name = name_behind(one.to);
      if (const auto at = engines.find(node.name); at != engines.end()) node.healthy = at->second;
    } else if (one.to == "redis") {
      node.healthy = any_up("penstock_redis_up");
    } else if (one.to == "database") {
      node.healthy = any_up("penstock_db_up");
    }
    map.nodes.push_back(std::move(node));
  }
  return map;
}

}  // namespace penstock::admin
