#include "admin/desk.h"

#include "admin/guard.h"
#include "dialect/json.h"
#include "dialect/refusal.h"
#include "observe/process.h"

namespace penstock::admin {
namespace {

constexpr Duration kHousekeeping = 5s;
constexpr Duration kStuck = 10s;  // a loop that has not turned for so long is not alive

constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

Refusal refusal_with(int status, std::string message, std::string_view type) {
  Refusal refusal;
  refusal.status = status;
  refusal.message = std::move(message);
  refusal.type = type;
  return refusal;
}

std::string_view word(settings::EngineKind kind) {
  switch (kind) {
    case settings::EngineKind::documents: return "documents";
    case settings::EngineKind::openai: return "openai";
    case settings::EngineKind::simulated: break;
  }
  return "simulated";
}

}  // namespace

const std::vector<Admin::Desk::Route>& Admin::Desk::routes() {
  static const std::vector<Route> kRoutes = {
      {"GET", "/", "The status page.", "HTML", true, &Desk::page},
      {"GET", "/status.js", "The status page's script.", "JavaScript", true, &Desk::script},
      {"GET", "/livez", "Whether the workers' loops turn.", "status pass, or 503 and fail", true,
       &Desk::livez},
      {"GET", "/readyz", "Whether requests are taken.", "status pass, or 503 and fail", true,
       &Desk::readyz},
      {"GET", "/startupz", "Whether the start is over.", "status pass, or 503 and fail", true,
       &Desk::startupz},
      {"GET", "/health", "Health by component.", "application/health+json with checks", true,
       &Desk::health},
      {"GET", "/health/liveliness", "As /livez.", "status pass, or 503 and fail", true,
       &Desk::livez},
      {"GET", "/health/readiness", "As /readyz.", "status pass, or 503 and fail", true,
       &Desk::readyz},
      {"GET", "/admin/v1/openapi.json", "This document.", "OpenAPI 3.1", false,
       &Desk::openapi_document},
      {"GET", "/admin/v1/status", "What the program is doing.",
       "version, uptime, counts, cache, models", false, &Desk::status},
      {"GET", "/admin/v1/settings", "The settings in force; secrets are hidden.", "YAML", false,
       &Desk::settings},
      {"GET", "/admin/v1/models", "The models, their engines and calls.", "a list", false,
       &Desk::models},
      {"GET", "/admin/v1/cache", "The cache's figures.", "entries, bytes, capacity, evictions",
       false, &Desk::cache},
      {"POST", "/admin/v1/reload", "Reads the configuration again: all or nothing.",
       "{\"reloaded\": true}, or 409 and the reason", false, &Desk::reload},
      {"PUT", "/admin/v1/log-level/{level}",
       "Sets the level of the logs until the next reload: debug, info, warn or error.",
       "{\"level\": ...}", false, &Desk::set_log_level},
  };
  return kRoutes;
}

std::string openapi(std::string_view metrics_path) {
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object().member("openapi", "3.1.0");
  json.key("info").begin_object();
  json.member("title", "Penstock admin API").member("version", PENSTOCK_VERSION).end_object();
  json.key("components").begin_object().key("securitySchemes").begin_object();
  json.key("token").begin_object().member("type", "http").member("scheme", "bearer");
  json.member("description", "admin.token, where it is set").end_object();
  json.end_object().end_object();
  json.key("paths").begin_object();
  const auto operation = [&](std::string_view method, std::string_view path,
                             std::string_view summary, std::string_view answers, bool open) {
    json.key(path).begin_object().key(method).begin_object().member("summary", summary);
    if (path.ends_with("{level}")) {
      json.key("parameters").begin_array().begin_object();
      json.member("name", "level").member("in", "path").member("required", true);
      json.key("schema").begin_object().member("type", "string").key("enum").begin_array();
      for (const char* level : {"debug", "info", "warn", "error"}) json.value(level);
      json.end_array().end_object().end_object().end_array();
    }
    if (!open) {
      json.key("security").begin_array().begin_object().key("token").begin_array().end_array();
      json.end_object().end_array();
    }
    json.key("responses").begin_object();
    json.key("200").begin_object().member("description", answers).end_object();
    if (!open) {
      json.key("401").begin_object().member("description", "the token is missing or wrong");
      json.end_object();
      json.key("403").begin_object().member("description", "the Host or Origin is not trusted");
      json.end_object();
    }
    json.end_object().end_object().end_object();
  };
  for (const Admin::Desk::Route& route : Admin::Desk::routes()) {
    const std::string_view method = route.method == "GET"    ? "get"
                                    : route.method == "POST" ? "post"
                                                             : "put";
    operation(method, route.path, route.summary, route.answers, route.open);
  }
  operation("get", metrics_path, "Prometheus metrics; OpenMetrics by Accept.", "text", true);
  json.end_object().end_object();
  return out;
}

Admin::Desk::Desk(Program& program, gateway::House& house, observe::Registry& registry,
                  observe::Log& log, const settings::Settings& settings)
    : program_(program),
      house_(house),
      registry_(registry),
      log_(log),
      token_(settings.admin.token),
      metrics_path_(settings.metrics.path) {}

bool Admin::Desk::answer_now(http::Request& request, http::Reply& reply) {
  const http::RequestHead& head = request.head;
  const bool reads = head.method == "GET" || head.method == "HEAD";
  if (head.path == metrics_path_ && reads) {
    metrics(request, reply);
    return true;
  }
  const Route* found = nullptr;
  bool other_method = false;
  for (const Route& route : routes()) {
    const std::size_t brace = route.path.find('{');
    const bool same = brace == std::string_view::npos
                          ? head.path == route.path
                          : head.path.starts_with(route.path.substr(0, brace));
    if (!same) continue;
    if (route.method == head.method || (route.method == "GET" && reads)) {
      found = &route;
      break;
    }
    other_method = true;
  }
  // What is there is not told to whoever may not ask.
  if (found == nullptr || !found->open) {
    if (const auto refusal = check(head, token_)) {
      refuse_with(reply, *refusal);
      return true;
    }
  }
  if (found == nullptr) {
    refuse_with(reply,
                other_method
                    ? refusal_with(405, "This path takes another method.", "invalid_request_error")
                    : refusal_with(404,
                                   "There is nothing here; /admin/v1/openapi.json says "
                                   "what there is.",
                                   "invalid_request_error"));
    return true;
  }
  (this->*found->handler)(request, reply);
  return true;
}

Task<void> Admin::Desk::serve(http::Request&, http::Reply&, Deadline&) { co_return; }

void Admin::Desk::refuse(const http::BadMessage& bad, http::Reply& reply) {
  refuse_with(reply, refusal_with(bad.status, std::string(bad.what), "invalid_request_error"));
}

void Admin::Desk::refuse_with(http::Reply& reply, const Refusal& refusal) {
  scratch_.clear();
  dialect::write_refusal(scratch_, refusal);
  reply.status(refusal.status);
  reply.field("content-type", "application/json");
  if (refusal.status == 401) reply.field("www-authenticate", "Bearer");
  reply.finish(scratch_);
}

void Admin::Desk::json(http::Reply& reply, int status, std::string_view body) {
  reply.status(status);
  reply.field("content-type", "application/json");
  reply.field("cache-control", "no-store");
  reply.finish(body);
}

// ---- the page, health, metrics ---------------------------------------------------------------

void Admin::Desk::page(http::Request&, http::Reply& reply) {
  reply.status(200);
  reply.field("content-type", "text/html; charset=utf-8");
  reply.field("content-security-policy", kPolicy);
  reply.field("x-content-type-options", "nosniff");
  reply.field("referrer-policy", "no-referrer");
  reply.field("cache-control", "no-cache");
  reply.finish(kPage);
}

void Admin::Desk::script(http::Request&, http::Reply& reply) {
  reply.status(200);
  reply.field("content-type", "text/javascript; charset=utf-8");
  reply.field("x-content-type-options", "nosniff");
  reply.field("cache-control", "no-cache");
  reply.finish(kScript);
}

bool Admin::Desk::alive() const { return program_.status().oldest_beat < kStuck; }

void Admin::Desk::health_word(http::Reply& reply, bool good) {
  reply.status(good ? 200 : 503);
  reply.field("content-type", "application/health+json");
  reply.field("cache-control", "no-store");
  reply.finish(good ? R"({"status":"pass"})" : R"({"status":"fail"})");
}

void Admin::Desk::livez(http::Request&, http::Reply& reply) { health_word(reply, alive()); }

void Admin::Desk::readyz(http::Request&, http::Reply& reply) {
  health_word(reply, house_.ready && !house_.draining && alive());
}

void Admin::Desk::startupz(http::Request&, http::Reply& reply) { health_word(reply, house_.ready); }

void Admin::Desk::health(http::Request&, http::Reply& reply) {
  const bool live = alive();
  const bool ready = house_.ready && !house_.draining;
  scratch_.clear();
  dialect::JsonWriter json(scratch_);
  json.begin_object().member("status", live && ready ? "pass" : "fail");
  json.member("version", PENSTOCK_VERSION).key("checks").begin_object();
  const auto one = [&](std::string_view name, std::string_view status, std::string_view output) {
    json.key(name).begin_array().begin_object().member("status", status);
    if (!output.empty()) json.member("output", output);
    json.end_object().end_array();
  };
  one("workers", live ? "pass" : "fail", live ? "" : "a worker's loop does not turn");
  one("listener", ready ? "pass" : "fail", house_.draining ? "draining" : "");
  for (const engine::Health& engine : house_.engines.health()) {
    one("engine:" + engine.name, engine.good ? "pass" : "warn", engine.detail);
  }
  json.end_object().end_object();
  reply.status(live && ready ? 200 : 503);
  reply.field("content-type", "application/health+json");
  reply.field("cache-control", "no-store");
  reply.finish(scratch_);
}

void Admin::Desk::metrics(http::Request& request, http::Reply& reply) {
  const observe::Format format = observe::choose_format(request.head.find("accept"));
  scratch_.clear();
  registry_.render(scratch_, format);
  reply.status(200);
  reply.field("content-type", observe::content_type(format));
  reply.finish(scratch_);
}

// ---- /admin/v1 -------------------------------------------------------------------------------

void Admin::Desk::openapi_document(http::Request&, http::Reply& reply) {
  json(reply, 200, openapi(metrics_path_));
}

void Admin::Desk::status(http::Request&, http::Reply& reply) {
  const Status status = program_.status();
  const settings::SettingsPtr settings = program_.settings();
  const auto cache = house_.cache.stats();
  const auto whole = [](double value) { return static_cast<std::uint64_t>(value); };
  double errors = 0;
  for (const char* code : {"500", "501", "502", "503", "504"}) {
    errors += registry_.sum("penstock_http_requests_total", {{"code", code}});
  }
  scratch_.clear();
  dialect::JsonWriter json(scratch_);
  json.begin_object().member("version", PENSTOCK_VERSION);
  json.member("uptime_seconds",
              std::chrono::duration<double>(Clock::now() - status.started).count());
  json.member("ready", house_.ready.load()).member("draining", house_.draining.load());
  json.member("api", status.api).member("open_connections", status.open_connections);
  json.member("requests", whole(registry_.sum("penstock_http_requests_total")));
  json.member("errors", whole(errors));
  json.member("cache_hits",
              whole(registry_.sum("penstock_cache_requests_total", {{"result", "hit"}})));
  json.key("cache").begin_object().member("entries", cache.entries).member("bytes", cache.bytes);
  json.member("capacity", cache.capacity).end_object();
  write_models(json);
  json.end_object();
  this->json(reply, 200, scratch_);
}

void Admin::Desk::write_models(dialect::JsonWriter& json) {
  const settings::SettingsPtr settings = program_.settings();
  json.key("models").begin_array();
  for (const settings::ModelSettings& model : settings->models) {
    const std::string& name = model.engines.front();
    const auto engine =
        std::find_if(settings->engines.begin(), settings->engines.end(),
                     [&](const settings::EngineSettings& e) { return e.name == name; });
    const std::string label = model.name == "*" ? "other" : model.name;
    const observe::Labels labels = {{"engine", name}, {"model", label}};
    json.begin_object().member("model", model.name).member("engine", name);
    json.member("kind", word(engine->kind));
    json.member("calls", static_cast<std::uint64_t>(
                             registry_.sum("penstock_engine_requests_total", labels)));
    json.member("in_flight",
                static_cast<std::uint64_t>(registry_.sum("penstock_engine_in_flight", labels)));
    json.end_object();
  }
  json.end_array();
}

void Admin::Desk::settings(http::Request&, http::Reply& reply) {
  reply.status(200);
  reply.field("content-type", "application/yaml");
  reply.field("cache-control", "no-store");
  reply.finish(settings::describe(*program_.settings()));
}

void Admin::Desk::models(http::Request&, http::Reply& reply) {
  scratch_.clear();
  dialect::JsonWriter json(scratch_);
  json.begin_object();
  write_models(json);
  json.end_object();
  this->json(reply, 200, scratch_);
}

void Admin::Desk::cache(http::Request&, http::Reply& reply) {
  const auto stats = house_.cache.stats();
  scratch_.clear();
  dialect::JsonWriter json(scratch_);
  json.begin_object().member("entries", stats.entries).member("bytes", stats.bytes);
  json.member("capacity", stats.capacity).member("evictions", stats.evictions).end_object();
  this->json(reply, 200, scratch_);
}

void Admin::Desk::reload(http::Request& request, http::Reply& reply) {
  const Result<void> done = program_.reload();
  log_change(request, reply, "reload", done.ok());
  if (!done) {
    return refuse_with(
        reply, refusal_with(409, "Not reloaded: " + done.error().detail, "invalid_request_error"));
  }
  json(reply, 200, R"({"reloaded":true})");
}

void Admin::Desk::set_log_level(http::Request& request, http::Reply& reply) {
  const std::string_view word = request.head.path.substr(request.head.path.rfind('/') + 1);
  for (const auto level :
       {observe::Level::debug, observe::Level::info, observe::Level::warn, observe::Level::error}) {
    if (word != observe::name_of(level)) continue;
    log_change(request, reply, "log level", true);
    log_.set_level(level);
    return json(reply, 200, "{\"level\":\"" + std::string(word) + "\"}");
  }
  refuse_with(reply, refusal_with(400, "The level is debug, info, warn or error.",
                                  "invalid_request_error"));
}

// Who, what, when (the log's own time), and whether it was done. At any level: it is an audit.
void Admin::Desk::log_change(const http::Request& request, http::Reply& reply,
                             std::string_view what, bool done) {
  log_.audit({{"change", what},
              {"path", request.head.path},
              {"from", reply.peer()},
              {"as", token_.empty() ? "anyone on loopback" : "holder of the admin token"},
              {"done", done}});
}

// ---- the listener ----------------------------------------------------------------------------

Admin::Admin(Program& program, gateway::House& house, observe::Registry& registry,
             observe::Log& log, const settings::Settings& settings)
    : loop_(static_cast<unsigned>(registry.shards() - 1)),
      housekeeping_(loop_.executor()),
      desk_(std::make_unique<Desk>(program, house, registry, log, settings)) {
  http::ServerLimits limits;
  limits.connections = 256;
  limits.body_bytes = 1024 * 1024;
  server_ =
      std::make_unique<http::Server>(loop_, *desk_, limits, http::ServerMetrics(), connections_);
}

Admin::~Admin() { stop(); }

Result<asio::ip::tcp::endpoint> Admin::listen(const asio::ip::tcp::endpoint& endpoint) {
  return server_->listen(endpoint);
}

void Admin::start() {
  keep_house();
  thread_ = std::thread([this] { loop_.run(); });
}

void Admin::keep_house() {
  housekeeping_.expires_after(kHousekeeping);
  housekeeping_.async_wait([this](boost::system::error_code ec) {
    if (ec) return;
    observe::trim_memory();
    keep_house();
  });
}

void Admin::stop() {
  if (!thread_.joinable()) return;
  asio::post(loop_.executor(), [this] {
    server_->drain();
    server_->close_all();
    asio::post(loop_.executor(), [this] { loop_.stop(); });
  });
  thread_.join();
}

}  // namespace penstock::admin
