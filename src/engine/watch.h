// Asks engines in the background how they are, on a thread of its own: never a request's doing,
// and never in its way.
//
// `health: auto` finds its way by what the engine answers:
//
//   GET /health at the origin ──2xx, 5xx──> that is asked from now on
//        │ anything else: it has none
//        v
//   GET models, with the credentials ──401, 403, 404, 405──> silent: its calls alone tell
//        └──anything else──> that is asked from now on
//
// /health is asked without credentials: some gateways answer it by asking their own engines, at a
// price, when they know who asks.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/deadline.h"
#include "base/loop.h"
#include "engine/site.h"
#include "engine/vitals.h"
#include "http/client.h"
#include "observe/external.h"
#include "observe/log.h"
#include "settings/settings.h"

namespace penstock::engine {

// One engine to watch.
struct Patient {
  settings::EngineSettings settings;  // of kind openai, with health not off
  std::shared_ptr<net::TlsClient> tls;
  VitalsPtr vitals;
};

class Watch {
 public:
  // `external`: to be counted by this watch alone.
  Watch(observe::Log& log, const observe::External& external);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();

  // Watches these from now on. One whose settings are the same goes on as it was. Any thread.
  void load(std::vector<Patient> patients);

 private:
  class Check;
  void replace(std::vector<Patient> patients);

  observe::Log& log_;
  observe::External external_;  // the loop's
  Loop loop_;
  std::vector<std::shared_ptr<Check>> checks_;  // the loop's
  std::thread thread_;                          // from the first patient on
};

}  // namespace penstock::engine
