#include "app/program_metrics.h"

namespace penstock::app {
namespace {

observe::Counter reloads(observe::Shard& shard, const char* result) {
  return shard.counter("penstock_config_reloads_total", "Reloads of the configuration.",
                       {{"result", result}});
}

}  // namespace

ProgramMetrics::ProgramMetrics(observe::Shard& shard)
    : reloads_good(reloads(shard, "success")),
      reloads_bad(reloads(shard, "error")),
      reload_good(shard.gauge("penstock_config_last_reload_successful",
                              "1 if the configuration in force is the one in the file.", {})),
      reload_time(shard.gauge("penstock_config_last_reload_timestamp_seconds",
                              "When the configuration in force was read, Unix time.", {})),
      ready(shard.gauge("penstock_ready", "1 while the gateway takes requests.", {})),
      draining(shard.gauge("penstock_draining", "1 while the gateway ends.", {})) {}

WorkerMetrics::WorkerMetrics(observe::Shard& shard, unsigned index)
    : lag(shard.histogram("penstock_event_loop_lag_seconds", "How late a worker's timer fires.",
                          observe::kFast, {{"worker", std::to_string(index)}})),
      busy(shard.counter("penstock_worker_busy_seconds_total", "CPU time that a worker has used.",
                         {{"worker", std::to_string(index)}})) {}

void watch_log(observe::Registry& registry, const observe::Log& log) {
  for (const auto level :
       {observe::Level::debug, observe::Level::info, observe::Level::warn, observe::Level::error}) {
    registry.watch(observe::Type::counter, "penstock_log_messages_total", "Log records.",
                   {{"level", std::string(observe::name_of(level))}},
                   [&log, level] { return static_cast<double>(log.messages(level)); });
  }
  registry.watch(observe::Type::counter, "penstock_log_dropped_total",
                 "Log records lost because the queue was full.", {},
                 [&log] { return static_cast<double>(log.dropped()); });
}

}  // namespace penstock::app
