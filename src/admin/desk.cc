#include "admin/desk.h"

#include "admin/guard.h"
#include "dialect/json.h"
#include "dialect/refusal.h"
#include "gateway/passthrough.h"
#include "gateway/recorder.h"
#include "gateway/refused.h"
#include "observe/process.h"

namespace penstock::admin {
namespace {

constexpr Duration kHousekeeping = 5s;
// No request here has a body to speak of.
constexpr std::uint64_t kMostBody = 1024 * 1024;
constexpr Duration kFirstHeader = 5s;

std::string_view word(settings::EngineKind kind) {
  switch (kind) {
    case settings::EngineKind::documents: return "documents";
    case settings::EngineKind::openai: return "openai";
    case settings::EngineKind::simulated: break;
  }
  return "simulated";
}

}  // namespace

const std::vector<Admin::Desk::Served>& Admin::Desk::served() {
  constexpr std::string_view kHealth = "application/health+json";
  constexpr std::string_view kJson = "application/json";
  constexpr std::string_view kFails = "Status fail.";
  static const std::vector<Served> kServed = [&] {
    std::vector<Served> all = {
        {{"GET", "/", "The status page.", "The page.", "text/html", "Text", true}, &Desk::page},
        {{"GET", "/status.js", "The status page's script.", "The script.", "text/javascript",
          "Text", true},
         &Desk::script},
        {{"GET", "/livez", "Whether the workers' loops turn.", "Status pass.", kHealth, "Health",
          true, "503", kFails},
         &Desk::livez},
        {{"GET", "/readyz", "Whether requests are taken.", "Status pass.", kHealth, "Health", true,
          "503", kFails},
         &Desk::readyz},
        {{"GET", "/startupz", "Whether the start is over.", "Status pass.", kHealth, "Health", true,
          "503", kFails},
         &Desk::startupz},
        {{"GET", "/health", "Health by component.", "Status pass, with checks.", kHealth, "Health",
          true, "503", "Status fail, with checks."},
         &Desk::health},
        {{"GET", "/health/liveliness", "As /livez.", "Status pass.", kHealth, "Health", true, "503",
          kFails},
         &Desk::livez},
        {{"GET", "/health/readiness", "As /readyz.", "Status pass.", kHealth, "Health", true, "503",
          kFails},
         &Desk::readyz},
        {{"GET", "/admin/v1/openapi.json", "This document.", "OpenAPI 3.1.", kJson, "Document",
          false},
         &Desk::openapi_document},
        {{"GET", "/admin/v1/status", "What the program is doing.",
          "Version, uptime, counts, cache, models.", kJson, "Status", false},
         &Desk::status},
        {{"GET", "/admin/v1/settings", "The settings in force.", "YAML; secrets are hidden.",
          "application/yaml", "Text", false},
         &Desk::settings},
        {{"GET", "/admin/v1/models", "The models, their engines and calls.", "The models.", kJson,
          "Models", false},
         &Desk::models},
        {{"GET", "/admin/v1/cache", "The cache's figures.", "The figures.", kJson, "Cache", false},
         &Desk::cache},
        {{.method = "GET",
          .path = "/admin/v1/map",
          .summary = "Who depends on whom, and how well that goes.",
          .answers = "What was measured in the last minute, in JSON or for Graphviz (format=dot).",
          .media = "application/json text/vnd.graphviz",
          .schema = "Map",
          .failure = "400",
          .failure_says = "A parameter is not known, or its value makes no sense.",
          .query = "format"},
         &Desk::map},
        {{.method = "GET",
          .path = "/admin/v1/traces",
          .summary = "The last requests, the newest first.",
          .answers = "As many as are kept (tracing.ring), or as were asked for.",
          .media = kJson,
          .schema = "Traces",
          .failure = "400",
          .failure_says = "A parameter is not known, or its value makes no sense.",
          .query = "failed limit slow"},
         &Desk::traces},
        {{.method = "GET",
          .path = "/admin/v1/traces/{id}",
          .summary = "One of the last requests step by step, by its id or its trace's.",
          .answers = "Where its time went, and where its error began.",
          .media = kJson,
          .schema = "Trace",
          .failure = "404",
          .failure_says = "It is none of the last requests."},
         &Desk::trace},
        {{"POST", "/admin/v1/reload", "Reads the configuration again: all or nothing.",
          "The configuration is in force.", kJson, "Reloaded", false, "409",
          "Nothing has changed; `problems` says what is wrong."},
         &Desk::reload},
        {{"PUT", "/admin/v1/log-level/{level}", "Sets the level of the logs until the next reload.",
          "The level is set.", kJson, "LevelSet", false, "400",
          "There is no such level, or the message is malformed."},
         &Desk::set_log_level},
    };
    for (const Served& one : profile_routes()) all.push_back(one);
    return all;
  }();
  return kServed;
}

Admin::Desk::Desk(Program& program, gateway::House& house, observe::Registry& registry,
                  observe::Log& log, const settings::Settings& settings)
    : program_(program),
      house_(house),
      registry_(registry),
      log_(log),
      token_(settings.admin.token),
      metrics_path_(settings.metrics.path),
      metrics_{
          {"GET", metrics_path_, "Prometheus metrics; OpenMetrics by Accept.", "The metrics.",
           "text/plain application/openmetrics-text", "Text", true, "404", "They are turned off."},
          &Desk::metrics},
      counts_(registry),
      map_(registry) {
  map_.look(Clock::now());
  if (const Records* const lent = program.records()) {
    records_ = std::make_unique<RecordsRoom>(*lent, program_, house_);
  }
}

std::vector<const Route*> Admin::Desk::all_routes() const {
  std::vector<const Route*> all;
  for (const Served& one : served()) all.push_back(&one.route);
  all.push_back(&metrics_.route);
  if (records_ != nullptr) {
    for (const RecordsRoom::Operation& one : RecordsRoom::operations()) all.push_back(&one.route);
  }
  return all;
}

const Admin::Desk::Served* Admin::Desk::served_at(const http::RequestHead& head) const {
  std::string_view object;
  const auto mine = [&](const Served& one) {
    return one.route.at(head.path, object) && one.route.takes(head.method);
  };
  const auto found = std::find_if(served().begin(), served().end(), mine);
  if (found != served().end()) return &*found;
  return mine(metrics_) ? &metrics_ : nullptr;
}

bool Admin::Desk::answer_now(http::Request& request, http::Reply& reply) {
  const http::RequestHead& head = request.head;
  take_id(head);
  bool open = false;    // what there is at this path
  std::string allowed;  // and its methods
  std::string_view object;
  for (const Route* route : all_routes()) {
    if (!route->at(head.path, object)) continue;
    open = route->open;
    if (!allowed.empty()) allowed += ", ";
    allowed += route->method == "GET" ? "GET, HEAD" : route->method;
  }
  // What is there is not told to whoever may not ask.
  if (!open && !admit(head, reply)) return true;
  if (const Served* const found = served_at(head)) {
    if (found->waiting != nullptr) return false;  // serve()
    (this->*found->handler)(request, reply);
  } else if (operation_at(head, object) != nullptr) {
    return false;  // it asks the database: serve()
  } else if (!allowed.empty()) {
    refuse_with(reply, gateway::method_not_allowed(head.method, head.path, allowed));
  } else {
    refuse_with(reply,
                refusal(Reason::unknown_url,
                        "There is nothing here; /admin/v1/openapi.json says what there is."));
  }
  return true;
}

void Admin::Desk::refuse(const http::BadMessage& bad, const http::RequestHead& head,
                         http::Reply& reply) {
  take_id(head);
  settings::Listen::Limits limits;  // of this listener; no setting has them
  limits.body_bytes = {kMostBody};
  limits.first_header = kFirstHeader;
  refuse_with(reply, gateway::refusal_of_http(bad, limits, {}));
}

// The client's own id where it is usable, as on the public listener.
void Admin::Desk::take_id(const http::RequestHead& head) {
  Uuid own;
  request_id_ = gateway::request_id_of(head.find("x-request-id"), random_, own);
}

bool Admin::Desk::admit(const http::RequestHead& head, http::Reply& reply) {
  const auto refusal = check(head, token_);
  if (!refusal) {
    if (!token_.empty()) counts_.success.add();
    return true;
  }
  if (refusal->status == 401) {
    const bool missing = head.find("authorization").empty();
    (missing ? counts_.missing : counts_.invalid).add();
    refused_peer_ = reply.peer();
    refused_why_ = missing ? "missing" : "invalid";
    log_refused(refusals_.add(Clock::now()));
  }
  refuse_with(reply, *refusal);
  return false;
}

void Admin::Desk::keep_house() {
  log_refused(refusals_.due(Clock::now()));
  map_.look(Clock::now());
}

// `times`: since the last line; the rest is of the last of them.
void Admin::Desk::log_refused(std::uint64_t times) {
  if (times == 0) return;
  log_.warning("the admin token was missing or wrong",
               {{"from", refused_peer_}, {"result", refused_why_}, {"times", times}});
}

void Admin::Desk::refuse_with(http::Reply& reply, const Refusal& refusal) {
  scratch_.clear();
  dialect::write_refusal(scratch_, refusal);
  begin(reply, refusal.status, "application/json");
  if (refusal.status == 401) reply.field("www-authenticate", "Bearer");
  if (!refusal.allow.empty()) reply.field("allow", refusal.allow);
  if (refusal.retry_after) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(*refusal.retry_after).count();
    reply.field("retry-after", std::to_string(seconds));
  }
  reply.finish(scratch_);
}

void Admin::Desk::begin(http::Reply& reply, int status, std::string_view content_type) {
  reply.status(status);
  reply.field("content-type", content_type);
  reply.field("x-request-id", request_id_);
}

void Admin::Desk::json(http::Reply& reply, int status, std::string_view body) {
  begin(reply, status, "application/json");
  reply.field("cache-control", "no-store");
  reply.finish(body);
}

// ---- /admin/v1 -------------------------------------------------------------------------------

void Admin::Desk::openapi_document(http::Request&, http::Reply& reply) {
  json(reply, 200, openapi());
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
  json.member("api", status.api)
      .member("metrics", metrics_path_)
      .member("open_connections", status.open_connections);
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
  const std::vector<engine::Health> health = house_.engines.health();
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
    // A reload may have come between the two.
    json.member("healthy", std::none_of(health.begin(), health.end(), [&](const auto& known) {
                  return known.name == name && !known.good;
                }));
    json.member("calls", static_cast<std::uint64_t>(
                             registry_.sum("penstock_engine_requests_total", labels)));
    json.member("in_flight",
                static_cast<std::uint64_t>(registry_.sum("penstock_engine_in_flight", labels)));
    json.end_object();
  }
  json.end_array();
}

void Admin::Desk::settings(http::Request&, http::Reply& reply) {
  begin(reply, 200, "application/yaml");
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

void Admin::Desk::reload(http::Request& request, http::Reply& reply) {
  const Result<void> done = program_.reload();
  log_change(request, reply, "reload", done.ok());
  if (!done) {
    std::vector<std::string> problems = program_.reload_problems();
    if (problems.empty()) problems.push_back(done.error().detail);
    scratch_.clear();
    dialect::JsonWriter json(scratch_);
    json.begin_object().key("error").begin_object();
    json.member("message", "Not reloaded: " + done.error().detail);
    const ReasonFacts& facts = facts_of(Reason::reload_refused);
    json.member("type", facts.type).member_null("param").member("code", facts.code);
    json.key("problems").begin_array();
    for (const std::string& problem : problems) json.value(problem);
    json.end_array().end_object().end_object();
    return this->json(reply, 409, scratch_);
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
  refuse_with(reply, refusal(Reason::invalid_value, "The level is debug, info, warn or error."));
}

std::string Admin::Desk::actor(http::Reply& reply) const {
  return (token_.empty() ? "anyone on loopback, from " : "admin token, from ") + reply.peer();
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
  // Whoever only holds connections open must not keep a probe out: many, and not for long.
  limits.connections = 1024;
  limits.idle = 15s;
  limits.first_header = kFirstHeader;
  limits.body_bytes = kMostBody;
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
    desk_->keep_house();
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
