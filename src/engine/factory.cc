#include "engine/factory.h"

#include <algorithm>

#include "engine/documents.h"
#include "engine/library.h"
#include "engine/openai.h"
#include "engine/simulated.h"

namespace penstock::engine {

Shared::Shared(observe::Log& log) : log_(log) {}
Shared::~Shared() = default;

Result<void> Shared::open(const settings::Settings& settings) {
  const std::lock_guard lock(mutex_);
  // Made aside first: a fault in the last engine must change nothing of the others.
  std::map<std::string, std::shared_ptr<Library>> libraries;
  std::map<std::string, std::shared_ptr<SimulatedHall>> halls;
  std::map<std::string, std::shared_ptr<http::TlsClient>> tls;
  const auto at = [](const settings::EngineSettings& engine, Error error) {
    error.detail = "engine " + engine.name + ": " + error.detail;
    return error;
  };
  for (const settings::EngineSettings& engine : settings.engines) {
    switch (engine.kind) {
      case settings::EngineKind::documents: {
        if (const auto known = libraries_.find(engine.path); known != libraries_.end()) {
          libraries.insert(*known);
          break;
        }
        Result<std::shared_ptr<Library>> library = Library::open(engine.path, log_);
        if (!library) return at(engine, std::move(library).error());
        libraries.emplace(engine.path, *std::move(library));
        break;
      }
      case settings::EngineKind::simulated: {
        const auto known = halls_.find(engine.name);
        halls.emplace(engine.name, known != halls_.end()
                                       ? known->second
                                       : std::make_shared<SimulatedHall>(engine.simulated.slots,
                                                                         engine.simulated.queue));
        break;
      }
      case settings::EngineKind::openai: {
        Result<http::Url> url = http::parse_url(engine.url);
        if (!url) return at(engine, std::move(url).error());
        if (!url->https) break;
        Result<std::shared_ptr<http::TlsClient>> made = http::TlsClient::make(engine.tls.ca);
        if (!made) return at(engine, std::move(made).error());
        tls.emplace(engine.name, *std::move(made));
        break;
      }
    }
  }
  known_.clear();
  for (const settings::EngineSettings& engine : settings.engines) {
    known_.push_back({engine.name, engine.kind, engine.path});
  }
  libraries_ = std::move(libraries);
  halls_ = std::move(halls);
  tls_ = std::move(tls);
  return {};
}

std::shared_ptr<Engine> Shared::make(const settings::EngineSettings& settings, unsigned workers,
                                     Loop& loop, observe::Shard& metrics) {
  const std::lock_guard lock(mutex_);
  switch (settings.kind) {
    case settings::EngineKind::documents:
      return std::make_shared<DocumentsEngine>(settings.name, libraries_.at(settings.path));
    case settings::EngineKind::simulated: {
      SimulatedOptions options;
      options.name = settings.name;
      options.models = {settings.name};
      options.behaviour = settings.simulated;
      return std::make_shared<SimulatedEngine>(std::move(options), halls_.at(settings.name));
    }
    case settings::EngineKind::openai: break;
  }
  Result<http::Url> url = http::parse_url(settings.url);
  const auto tls = tls_.find(settings.name);
  const std::size_t share =
      std::max<std::size_t>(1, (settings.connections.max + workers - 1) / workers);
  return std::make_shared<OpenAiEngine>(settings, *std::move(url),
                                        tls != tls_.end() ? tls->second : nullptr, share, loop,
                                        http::PoolMetrics(metrics, settings.name));
}

Health Shared::health_of(const Known& engine) const {
  Health health{engine.name, true, true, {}};
  if (engine.kind != settings::EngineKind::documents) return health;
  const Library& library = *libraries_.at(engine.path);
  const auto some = [](std::uint64_t count, std::string_view what) {
    return std::to_string(count) + ' ' + std::string(what) + (count == 1 ? "" : "s");
  };
  const Library::State state = library.state();
  health.usable = library.read_once();
  health.good = state == Library::State::good;
  switch (state) {
    case Library::State::good: break;
    case Library::State::reading:
      health.detail = "the documents are being read for the first time";
      return health;
    case Library::State::gone: health.detail = "the folder of documents cannot be read"; break;
    case Library::State::failed: health.detail = "the documents cannot be indexed"; break;
  }
  if (!health.usable) return health;
  if (!health.good) health.detail += "; answers come from what was read before: ";
  health.detail += some(library.passages(), "passage");
  if (library.left_out() > 0)
    health.detail += ", " + some(library.left_out(), "file") + " left out";
  return health;
}

std::vector<Health> Shared::health() const {
  const std::lock_guard lock(mutex_);
  std::vector<Health> all;
  all.reserve(known_.size());
  for (const Known& engine : known_) all.push_back(health_of(engine));
  return all;
}

bool Shared::ready() const {
  const std::lock_guard lock(mutex_);
  return known_.empty() || std::any_of(known_.begin(), known_.end(), [this](const Known& engine) {
           return engine.kind != settings::EngineKind::documents ||
                  libraries_.at(engine.path)->read_once();
         });
}

}  // namespace penstock::engine
