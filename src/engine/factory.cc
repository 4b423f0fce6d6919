#include "engine/factory.h"

#include <algorithm>

#include "engine/documents.h"
#include "engine/library.h"
#include "engine/openai.h"
#include "engine/simulated.h"
#include "engine/watch.h"

namespace penstock::engine {

Shared::Shared(observe::Registry& registry, observe::Log& log)
    : registry_(registry),
      log_(log),
      watch_(std::make_unique<Watch>(
          log, observe::External(registry.shard(registry.shards() - 1), "health"))) {}
Shared::~Shared() = default;

Result<void> Shared::open(const settings::Settings& settings) {
  std::unique_lock lock(mutex_);
  // Made aside first: a fault in the last engine must change nothing of the others.
  std::map<std::string, std::shared_ptr<Library>> libraries;
  std::map<std::string, std::shared_ptr<SimulatedHall>> halls;
  std::map<std::string, std::shared_ptr<net::TlsClient>> tls;
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
        Result<std::shared_ptr<net::TlsClient>> made =
            net::TlsClient::make(engine.tls.ca, "http/1.1");
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
  models_.clear();
  for (const settings::ModelSettings& model : settings.models) {
    models_[model.name == "*" ? "other" : model.name] = model.engines;
  }
  std::vector<Patient> patients;
  std::vector<std::string> first_seen;
  for (const settings::EngineSettings& engine : settings.engines) {
    VitalsPtr& vitals = vitals_[engine.name];
    if (!vitals) {
      vitals = std::make_shared<Vitals>(settings.ejection.consecutive);
      first_seen.push_back(engine.name);
    }
    vitals->set_most_failures(settings.ejection.consecutive);
    if (engine.kind != settings::EngineKind::openai ||
        engine.health.checks == settings::EngineSettings::Checks::off) {
      vitals->judge(true, {});
      continue;
    }
    const auto found = tls_.find(engine.name);
    patients.push_back({engine, found != tls_.end() ? found->second : nullptr, vitals});
  }
  watch_->load(std::move(patients));
  std::vector<std::string> first_models;
  for (const auto& [model, engines] : models_) {
    if (counted_models_.insert(model).second) first_models.push_back(model);
  }
  lock.unlock();
  for (const std::string& engine : first_seen) count_engine(engine);
  for (const std::string& model : first_models) count_model(model);
  return {};
}

// Series of an engine or a model stay for good; they are not shown while it is not configured.
void Shared::count_engine(const std::string& name) {
  registry_.watch(observe::Type::gauge, "penstock_engine_healthy",
                  "1 while neither checks nor calls say that the engine is unwell.",
                  {{"engine", name}}, [this, name] { return healthy(name); });
  const VitalsPtr vitals = this->vitals(name);
  for (const bool good : {true, false}) {
    registry_.watch(observe::Type::counter, "penstock_engine_health_checks_total",
                    "Checks of engines in the background.",
                    {{"engine", name}, {"result", good ? "success" : "failure"}},
                    [vitals, good] { return static_cast<double>(vitals->checks(good)); });
  }
}

void Shared::count_model(const std::string& name) {
  registry_.watch(observe::Type::gauge, "penstock_model_healthy_engines",
                  "Engines of the model that are healthy.", {{"model", name}},
                  [this, name] { return healthy_engines(name); });
}

std::optional<double> Shared::healthy(const std::string& engine) const {
  const std::lock_guard lock(mutex_);
  for (const Known& known : known_) {
    if (known.name == engine) return health_of(known).good ? 1 : 0;
  }
  return std::nullopt;
}

std::optional<double> Shared::healthy_engines(const std::string& model) const {
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(model);
  if (found == models_.end()) return std::nullopt;
  double count = 0;
  for (const Known& known : known_) {
    const auto& engines = found->second;
    const bool its = std::find(engines.begin(), engines.end(), known.name) != engines.end();
    if (its && health_of(known).good) ++count;
  }
  return count;
}

VitalsPtr Shared::vitals(const std::string& engine) const {
  const std::lock_guard lock(mutex_);
  return vitals_.at(engine);
}

std::shared_ptr<Engine> Shared::make(const settings::EngineSettings& settings, unsigned workers,
                                     Loop& loop, observe::Shard& metrics) {
  std::unique_lock lock(mutex_);
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
  const auto found = tls_.find(settings.name);
  const std::shared_ptr<net::TlsClient> tls = found != tls_.end() ? found->second : nullptr;
  lock.unlock();
  const std::size_t share =
      std::max<std::size_t>(1, (settings.connections.max + workers - 1) / workers);
  return std::make_shared<OpenAiEngine>(settings, *std::move(url), tls, share, loop,
                                        http::PoolMetrics(metrics, settings.name));
}

namespace {

std::string some(std::uint64_t count, std::string_view what) {
  return std::to_string(count) + ' ' + std::string(what) + (count == 1 ? "" : "s");
}

void read_documents(const Library& library, Health& health) {
  const Library::State state = library.state();
  health.usable = library.read_once();
  health.good = state == Library::State::good;
  switch (state) {
    case Library::State::good: break;
    case Library::State::reading:
      health.detail = "the documents are being read for the first time";
      return;
    case Library::State::gone: health.detail = "the folder of documents cannot be read"; break;
    case Library::State::failed: health.detail = "the documents cannot be indexed"; break;
  }
  if (!health.usable) return;
  if (!health.good) health.detail += "; answers come from what was read before: ";
  health.detail += some(library.passages(), "passage");
  if (library.left_out() > 0)
    health.detail += ", " + some(library.left_out(), "file") + " left out";
}

}  // namespace

Health Shared::health_of(const Known& engine) const {
  Health health{engine.name, true, true, {}};
  if (engine.kind == settings::EngineKind::documents) {
    read_documents(*libraries_.at(engine.path), health);
  }
  const Vitals& vitals = *vitals_.at(engine.name);
  if (vitals.healthy()) return health;
  health.good = false;
  if (!vitals.usable()) {
    health.usable = false;
    health.detail = vitals.why();
  } else {
    health.detail = "the last " + some(vitals.failures(), "call") + " failed";
  }
  return health;
}

std::vector<Health> Shared::health() const {
  const std::lock_guard lock(mutex_);
  std::vector<Health> all;
  all.reserve(known_.size());
  for (const Known& engine : known_) all.push_back(health_of(engine));
  return all;
}

bool Shared::usable(const Known& engine) const {
  if (engine.kind == settings::EngineKind::documents) {
    return libraries_.at(engine.path)->read_once();
  }
  return vitals_.at(engine.name)->usable();
}

bool Shared::ready() const {
  const std::lock_guard lock(mutex_);
  return known_.empty() || std::any_of(known_.begin(), known_.end(),
                                       [this](const Known& engine) { return usable(engine); });
}

}  // namespace penstock::engine
