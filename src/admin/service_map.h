// Who depends on whom, and how well that goes: out of what the metrics counted in the last minute.
//
//   clients ──route──> gateway ──model──> each engine
//                         ├──> redis, database
//                         └──> the provider of tokens' keys, the backend of traces
//
// Only what there is: what is not configured has no place on the map.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "observe/metrics.h"

namespace penstock::admin {

// What was counted on one way, from the start on.
struct Passed {
  std::string from, to;
  std::string what;  // a route, a model, "commands", "queries", "keys", "spans"
  double requests = 0;
  double errors = 0;
  double seconds = 0;  // of all that were timed
  std::vector<double> buckets;
};

struct Edge {
  std::string from, to, what;
  double per_second = 0;
  double errors_ratio = 0;                                // of the requests
  std::optional<double> mean_ms, p50_ms, p95_ms, p99_ms;  // nothing: none was timed
};

struct Node {
  std::string id;    // "engine:gpu-a"
  std::string kind;  // clients, gateway, engine, redis, database, jwks, otlp
  std::string name;
  std::optional<bool> healthy;  // nothing: nobody knows
};

class ServiceMap {
 public:
  static constexpr Duration kWindow = 60s;
  static constexpr Duration kEach = 10s;

  explicit ServiceMap(const observe::Registry& registry) : registry_(registry) {}

  // Each kEach; of one thread, as all here.
  void look(Time now);

  struct Drawn {
    double seconds = 0;  // that the rates are of; less than a minute soon after the start
    std::vector<Node> nodes;
    std::vector<Edge> edges;
  };
  Drawn draw(Time now) const;

 private:
  struct Sample {
    Time at;
    std::vector<Passed> passed;
  };
  std::vector<Passed> read() const;

  const observe::Registry& registry_;
  std::deque<Sample> samples_;  // the oldest first
};

std::string map_json(const ServiceMap::Drawn& map);
// For Graphviz: `dot -Tsvg`.
std::string map_dot(const ServiceMap::Drawn& map);

}  // namespace penstock::admin
