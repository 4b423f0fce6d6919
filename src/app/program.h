// The running program: its workers, its admin listener, its settings in force.
//
//   start --> ready --> (reload)* --> drain_delay --> drain --> called off --> ended
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "admin/admin.h"
#include "app/program_metrics.h"
#include "app/serve.h"
#include "app/stores.h"
#include "app/telemetry.h"
#include "app/warming.h"
#include "app/worker.h"

namespace penstock::app {

class Program final : public admin::Program {
 public:
  Program(ServeOptions options, settings::SettingsPtr settings, observe::Log& log,
          observe::Registry& registry);
  ~Program() override;

  // Binds every listener and starts every thread. The error names what is in the way.
  Result<void> start();
  // New settings from the same file: all or nothing. Any thread.
  Result<void> reload() override;
  std::vector<std::string> reload_problems() const override;
  // Ends in order; returns when nothing runs any more. `at_once` skips listen.limits.drain_delay.
  // `hurry` is looked at while it waits: true ends the delay.
  void end(bool at_once, const std::function<bool()>& hurry);
  // After the end: false where a thread was left behind, which uses what the end of main() takes
  // down.
  bool ended_whole() const { return ended_whole_; }

  admin::Status status() const override;
  settings::SettingsPtr settings() const override;
  const admin::Records* records() const override { return &stores_.records(); }

 private:
  void tell_engines();

  const ServeOptions options_;
  observe::Log& log_;
  observe::Registry& registry_;
  mutable std::mutex mutex_;  // of settings_, problems_ and of reloads
  settings::SettingsPtr settings_;
  std::vector<std::string> problems_;  // of the last reload
  gateway::House house_;
  Telemetry telemetry_;  // outlives the workers
  bool ended_whole_ = true;
  Stores stores_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Warming warming_{house_, log_};
  std::unique_ptr<admin::Admin> admin_;
  asio::ip::tcp::endpoint api_;
  ProgramMetrics metrics_;
  const Time started_ = Clock::now();
};

// What of a reload takes effect only at a start; empty if there is nothing.
std::string needs_restart(const settings::Settings& now, const settings::Settings& wanted);

}  // namespace penstock::app
