// What the program counts of itself: its settings, its state, its workers' loops, its log.
#pragma once

#include "observe/log.h"
#include "observe/metrics.h"

namespace penstock::app {

struct ProgramMetrics {
  explicit ProgramMetrics(observe::Shard& shard);
  observe::Counter reloads_good, reloads_bad;
  observe::Gauge reload_good, reload_time, ready, draining;
};

// Of the worker with this number.
struct WorkerMetrics {
  WorkerMetrics(observe::Shard& shard, unsigned index);
  observe::Histogram lag;
  observe::Counter busy;
};

// The log must outlive the registry's last scrape.
void watch_log(observe::Registry& registry, const observe::Log& log);

}  // namespace penstock::app
