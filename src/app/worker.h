// A worker: one thread, one loop, its listener, its gateway.
#pragma once

#include <memory>
#include <thread>

#include "app/program_metrics.h"
#include "gateway/gateway.h"
#include "http/server.h"

namespace penstock::app {

class Worker {
 public:
  Worker(unsigned index, gateway::House& house, settings::SettingsPtr settings);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // Before start(), on the caller's thread.
  Result<asio::ip::tcp::endpoint> listen(const asio::ip::tcp::endpoint& endpoint);
  void start();

  // From any thread; carried out on the worker's.
  void load(settings::SettingsPtr settings, std::uint32_t generation);
  void drain();
  void call_off();
  void stop();

  // Connections still open; read from any thread, a moment old.
  std::size_t open_approx() const { return open_.load(std::memory_order_relaxed); }
  // When the loop last turned; it does so at least each kBeat.
  Time last_beat() const { return Time(Duration(beat_.load(std::memory_order_relaxed))); }
  static constexpr Duration kBeat = 500ms;

 private:
  void beat();
  void watch_drain();

  Loop loop_;
  gateway::Gateway gateway_;
  gateway::House& house_;
  http::Server server_;
  SteadyTimer beat_timer_;
  SteadyTimer drain_timer_;
  WorkerMetrics metrics_;
  double busy_seconds_ = 0;
  std::atomic<Duration::rep> beat_{0};
  std::atomic<std::size_t> open_{0};
  std::thread thread_;
};

// The server's part of the settings, within what the process may have open.
http::ServerLimits server_limits(const settings::Listen& listen, gateway::House& house);

}  // namespace penstock::app
