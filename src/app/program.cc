#include "app/program.h"

#include <ctime>

#include "observe/process.h"

namespace penstock::app {
namespace {

// Of a worker's loop and listener; of the admin listener, the checks of engines, and what is opened
// now and then.
constexpr std::size_t kFilesAWorker = 6;
constexpr std::size_t kFilesLater = 10;
constexpr Duration kLook = 10ms;  // how often the end of a drain is looked for
// For what was used to be written; what is left waits in its files.
constexpr Duration kLastRows = 5s;
constexpr Duration kLastWord = 1s;  // for streams that were called off to say so

asio::ip::tcp::endpoint endpoint_of(const settings::Address& address) {
  return {asio::ip::make_address(address.host), address.port};
}

std::string url_of(const asio::ip::tcp::endpoint& endpoint) {
  return "http://" +
         settings::to_string(settings::Address{endpoint.address().to_string(), endpoint.port()});
}

unsigned worker_count(const settings::Settings& settings) {
  return settings.listen.workers.value_or(observe::default_workers());
}

}  // namespace

std::string needs_restart(const settings::Settings& now, const settings::Settings& wanted) {
  const auto changed = [](const char* what) {
    return std::string(what) + " cannot change while the program runs; restart it";
  };
  if (now.listen.address != wanted.listen.address) return changed("listen.address");
  if (now.listen.workers != wanted.listen.workers) return changed("listen.workers");
  if (now.admin != wanted.admin) return changed("admin");
  if (now.cache.memory != wanted.cache.memory) return changed("cache.memory");
  const settings::Cache::Semantic& semantic = now.cache.semantic;
  if (semantic.size != wanted.cache.semantic.size) return changed("cache.semantic.size");
  if (semantic.path != wanted.cache.semantic.path) return changed("cache.semantic.path");
  if (now.auth.mode != wanted.auth.mode) return changed("auth.mode");
  if (now.auth.jwt != wanted.auth.jwt) return changed("auth.jwt");
  if (now.secret != wanted.secret) return changed("secret");
  if (now.store != wanted.store) return changed("store");
  if (now.cache.redis != wanted.cache.redis) return changed("cache.redis");
  if (now.limits.shared != wanted.limits.shared) return changed("limits.shared");
  if (now.budgets != wanted.budgets) return changed("budgets");
  if (now.metrics != wanted.metrics) return changed("metrics");
  if (now.tracing.endpoint != wanted.tracing.endpoint) return changed("tracing.endpoint");
  if (now.tracing.ring != wanted.tracing.ring) return changed("tracing.ring");
  if (now.logging.format != wanted.logging.format) return changed("logging.format");
  return {};
}

Program::Program(ServeOptions options, settings::SettingsPtr settings, observe::Log& log,
                 observe::Registry& registry)
    : options_(std::move(options)),
      log_(log),
      registry_(registry),
      settings_(settings),
      house_(*settings, registry, log),
      telemetry_(house_, registry, log, *settings),
      stores_(house_, registry, log),
      metrics_(registry.shard(registry.shards() - 1)) {
  watch_budgets(registry, house_.budgets);
  metrics_.reload_good.set(1);
  metrics_.reload_time.set(static_cast<double>(std::time(nullptr)));
}

Program::~Program() {
  end(true, [] { return true; });
}

Result<void> Program::start() {
  // Engines first: a folder that is missing should not leave a port open for a moment.
  Result<void> opened = house_.engines.open(*settings_);
  if (!opened) return opened;
  const auto in = [](const char* setting, Error error) {
    error.detail = fmt::format("{}: {}", setting, error.detail);
    return error;
  };
  constexpr const char* kApi = "listen.address";
  constexpr const char* kAdmin = "admin.address";
  Result<void> free = http::claim(endpoint_of(settings_->listen.address));
  if (!free) return in(kApi, std::move(free).error());
  free = http::claim(endpoint_of(settings_->admin.address));
  if (!free) return in(kAdmin, std::move(free).error());
  Result<void> stored = stores_.open(*settings_, worker_count(*settings_));
  if (!stored) return stored;
  house_.own_files = observe::open_files() + kFilesAWorker * worker_count(*settings_) + kFilesLater;
  for (unsigned i = 0; i < worker_count(*settings_); ++i) {
    workers_.push_back(std::make_unique<Worker>(i, house_, settings_));
  }
  api_ = endpoint_of(settings_->listen.address);
  for (auto& worker : workers_) {
    // The first takes the port; the others share it, also where it was chosen for us.
    Result<asio::ip::tcp::endpoint> bound = worker->listen(api_);
    if (!bound) return in(kApi, std::move(bound).error());
    api_ = *bound;
  }
  admin_ = std::make_unique<admin::Admin>(*this, house_, registry_, log_, *settings_);
  Result<asio::ip::tcp::endpoint> bound = admin_->listen(endpoint_of(settings_->admin.address));
  if (!bound) return in(kAdmin, std::move(bound).error());
  for (auto& worker : workers_) worker->start();
  admin_->start();
  house_.ready = true;
  metrics_.ready.set(1);
  log_.info("listening on " + url_of(api_), {{"workers", static_cast<int>(workers_.size())}});
  log_.info("admin on " + url_of(*bound), {});
  tell_engines();
  warming_.begin(*settings(), stores_.database());
  stores_.keep_budgets(*settings());
  stores_.chronicle().note("program.start", PENSTOCK_VERSION, "{}");
  return {};
}

// Who answers what: the first thing to look at where an answer is not the one that was expected.
void Program::tell_engines() {
  constexpr std::size_t kMostText = 200;                    // of the models' names
  const settings::SettingsPtr settings = this->settings();  // the admin listener may reload already
  for (const settings::EngineSettings& engine : settings->engines) {
    std::string models;
    for (const settings::ModelSettings& model : settings->models) {
      if (model.engines.front() != engine.name) continue;
      if (!models.empty()) models += ", ";
      if (models.size() > kMostText) {
        models += "...";
        break;
      }
      models += model.name;
    }
    log_.info("engine " + engine.name,
              {{"models", models}, {"at", engine.url.empty() ? engine.path : engine.url}});
  }
}

Result<void> Program::reload() {
  const std::lock_guard lock(mutex_);
  const auto failed = [&](std::string why) {
    metrics_.reloads_bad.add();
    metrics_.reload_good.set(0);
    log_.error("the configuration was not reloaded; the old one stays in force", {{"reason", why}});
    return Error{Kind::invalid, Source::gateway, false, std::move(why)};
  };
  problems_.clear();
  if (options_.config.empty()) {
    return failed("the program was started without a configuration file");
  }
  Result<settings::SettingsPtr, settings::LoadFailure> loaded =
      settings::load_file(options_.config, settings::process_environment());
  if (!loaded) {
    for (const settings::Problem& problem : loaded.error().problems) {
      problems_.push_back(settings::to_string(problem));
      log_.error("configuration: " + problems_.back(), {});
    }
    return failed(settings::to_string(loaded.error().problems.front()));
  }
  if (std::string why = needs_restart(*settings_, **loaded); !why.empty()) {
    return failed(std::move(why));
  }
  Result<void> opened = house_.engines.open(**loaded);
  if (!opened) return failed(opened.error().detail);
  stores_.configure(**loaded);
  telemetry_.configure(**loaded);
  house_.obey((*loaded)->features);
  settings_ = *loaded;
  const std::uint32_t generation = house_.generation.fetch_add(1) + 1;
  for (auto& worker : workers_) worker->load(settings_, generation);
  log_.set_level(static_cast<observe::Level>(settings_->logging.level));
  metrics_.reloads_good.add();
  metrics_.reload_good.set(1);
  metrics_.reload_time.set(static_cast<double>(std::time(nullptr)));
  log_.info("the configuration was reloaded", {{"file", options_.config}});
  stores_.chronicle().note("config.reload", options_.config, "{}");
  return {};
}

void Program::end(bool at_once, const std::function<bool()>& hurry) {
  if (house_.draining.exchange(true)) return;
  metrics_.ready.set(0);
  metrics_.draining.set(1);
  const settings::SettingsPtr settings = this->settings();
  // Balancers must see that we are no longer ready before connections are refused.
  const Time no_more = Clock::now() + settings->listen.limits.drain_delay;
  while (!at_once && house_.ready && Clock::now() < no_more && !hurry()) {
    std::this_thread::sleep_for(kLook);
  }
  const auto open = [&] {
    std::size_t sum = 0;
    for (const auto& worker : workers_) sum += worker->open_approx();
    return sum;
  };
  const auto wait_for_connections = [&](Time until) {
    while (open() > 0 && Clock::now() < until) std::this_thread::sleep_for(kLook);
  };
  warming_.end();
  for (auto& worker : workers_) worker->drain();
  std::this_thread::sleep_for(2 * kLook);  // until each has counted what is open
  wait_for_connections(Clock::now() + settings->listen.limits.drain);
  if (open() > 0) {
    log_.warning("connections are still open at the drain limit", {{"open", open()}});
    for (auto& worker : workers_) worker->call_off();
    wait_for_connections(Clock::now() + kLastWord);
  }
  if (admin_) admin_->stop();
  for (auto& worker : workers_) worker->stop();
  stores_.close(Clock::now() + kLastRows);
  ended_whole_ = telemetry_.end();
  if (house_.ready) log_.info("ended", {});  // what never began has said why
}

std::vector<std::string> Program::reload_problems() const {
  const std::lock_guard lock(mutex_);
  return problems_;
}

settings::SettingsPtr Program::settings() const {
  const std::lock_guard lock(mutex_);
  return settings_;
}

admin::Status Program::status() const {
  admin::Status status;
  status.started = started_;
  status.api = url_of(api_);
  const Time now = Clock::now();
  for (const auto& worker : workers_) {
    status.open_connections += worker->open_approx();
    status.oldest_beat = std::max(status.oldest_beat, now - worker->last_beat());
  }
  return status;
}

}  // namespace penstock::app
