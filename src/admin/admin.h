// The operator's side: health in detail, /metrics, the admin API, a status page.
//
// Never on the public port, and a thread of its own: it answers while the workers are busy.
// What changes something is logged with who and when. A web page in the operator's browser must
// not reach it: Host and Origin are checked (DNS rebinding, CSRF).
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gateway/gateway.h"
#include "http/server.h"
#include "observe/log.h"
#include "observe/metrics.h"
#include "settings/settings.h"

namespace penstock::admin {

struct Records;  // records.h

struct Status {
  Time started;
  std::string api;  // the URL of the public listener
  std::size_t open_connections = 0;
  Duration oldest_beat{};  // the longest that a worker's loop has not turned
};

// What the admin API can ask of the program. Called on the admin thread.
class Program {
 public:
  virtual ~Program() = default;
  virtual Status status() const = 0;
  virtual settings::SettingsPtr settings() const = 0;
  virtual Result<void> reload() = 0;
  // All that was wrong with the file at the last reload, each with its place; empty where it was
  // good, or where the fault was not in the file.
  virtual std::vector<std::string> reload_problems() const { return {}; }
  // The database and what is made of it; null where there is none. Asked once, at the start.
  virtual const Records* records() const { return nullptr; }
};

class Admin {
 public:
  Admin(Program& program, gateway::House& house, observe::Registry& registry, observe::Log& log,
        const settings::Settings& settings);
  ~Admin();

  // What it counts, without one: for the reference of metrics.
  static void declare(observe::Registry& registry);

  Result<asio::ip::tcp::endpoint> listen(const asio::ip::tcp::endpoint& endpoint);
  void start();
  void stop();

 private:
  class Desk;
  void keep_house();

  Loop loop_;
  SteadyTimer housekeeping_;
  http::ConnectionCount connections_{0};
  std::unique_ptr<Desk> desk_;
  std::unique_ptr<http::Server> server_;
  std::thread thread_;
};

}  // namespace penstock::admin
