#include "gateway/metrics.h"

#include <algorithm>

namespace penstock::gateway {
namespace {

constexpr std::string_view kRequests = "penstock_http_requests_total";
constexpr std::string_view kRequestsHelp = "Requests answered, by route, method and status code.";

// The method that a route is for; others are refused, and counted when it happens.
std::string_view usual_method(Endpoint endpoint) {
  return endpoint == Endpoint::models ? "GET" : "POST";
}

// A closed set: a method is the client's word.
std::string_view method_label(std::string_view method) {
  for (const std::string_view known :
       {"POST", "GET", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"}) {
    if (method == known) return known;
  }
  return "other";
}

observe::Counter cache_requests(observe::Shard& shard, const char* result,
                                const char* level = "memory") {
  return shard.counter("penstock_cache_requests_total", "Questions put to the cache.",
                       {{"level", level}, {"result", result}});
}

observe::Histogram cache_operation(observe::Shard& shard, const char* op,
                                   const char* level = "memory") {
  return shard.histogram("penstock_cache_operation_duration_seconds",
                         "Time of a look into the cache, or of keeping an answer.", observe::kFast,
                         {{"level", level}, {"op", op}});
}

observe::Counter cache_warmed(observe::Shard& shard, const char* level) {
  return shard.counter("penstock_cache_warmed_total",
                       "Answers that were asked for ahead of who will ask, and kept.",
                       {{"level", level}});
}

observe::Counter turned_away_for_memory(observe::Shard& shard, const char* priority) {
  return shard.counter("penstock_admission_rejected_total",
                       "Requests that were turned away before anything was done for them.",
                       {{"priority", priority}, {"reason", "memory"}});
}

constexpr std::array<std::string_view, 5> kClasses = {"1xx", "2xx", "3xx", "4xx", "5xx"};

}  // namespace

std::string_view label_of(Endpoint endpoint) {
  constexpr std::array<std::string_view, kEndpoints> kNames = {"chat", "completions", "embeddings",
                                                               "models", "other"};
  return kNames[static_cast<std::size_t>(endpoint)];
}

std::string_view label_of(CacheResult result) {
  constexpr std::array<std::string_view, kCacheResults> kNames = {"none",      "hit",    "miss",
                                                                  "coalesced", "bypass", "stale"};
  return kNames[static_cast<std::size_t>(result)];
}

std::string_view label_of(Outcome outcome) {
  constexpr std::array<std::string_view, kOutcomes> kNames = {
      "success", "client_error",  "rate_limited",   "server_error",
      "timeout", "connect_error", "protocol_error", "cancelled"};
  return kNames[static_cast<std::size_t>(outcome)];
}

std::string_view label_of(Invalid invalid) {
  constexpr std::array<std::string_view, kInvalids> kNames = {
      "framing", "json", "schema", "size", "model", "parameter", "content_type"};
  return kNames[static_cast<std::size_t>(invalid)];
}

namespace {

std::string_view label_of(AuthMethod method) {
  constexpr std::array<std::string_view, kAuthMethods> kNames = {"none", "key", "jwt"};
  return kNames[static_cast<std::size_t>(method)];
}

std::string_view label_of(AuthResult result) {
  constexpr std::array<std::string_view, kAuthResults> kNames = {
      "success", "missing", "invalid", "expired", "revoked", "forbidden", "error"};
  return kNames[static_cast<std::size_t>(result)];
}

// Money of a day and of a month are one kind.
constexpr std::array kLimitKinds = {limit::What::requests, limit::What::tokens,
                                    limit::What::inflight, limit::What::spend_day};

std::size_t kind_of(limit::What what) {
  return std::min<std::size_t>(static_cast<std::size_t>(what), 3);
}

}  // namespace

Bounds::Bounds(const std::vector<budget::Objective>& objectives)
    : duration(observe::kDuration.begin(), observe::kDuration.end()),
      overhead(observe::kOverhead.begin(), observe::kOverhead.end()),
      first_token(observe::kTtft.begin(), observe::kTtft.end()) {
  for (const budget::Objective& one : objectives) {
    std::vector<double>* to = nullptr;
    if (one.of == budget::Of::response) to = &duration;
    if (one.of == budget::Of::overhead) to = &overhead;
    if (one.of == budget::Of::first_token) to = &first_token;
    if (to == nullptr) continue;
    const auto at = std::lower_bound(to->begin(), to->end(), one.limit);
    if (at == to->end() || *at != one.limit) to->insert(at, one.limit);
  }
}

EngineMetrics::EngineMetrics(observe::Shard& shard, std::string_view engine, std::string_view model,
                             engine::VitalsPtr its_vitals, const Bounds& bounds,
                             budget::Tally* its_budgets)
    : vitals(std::move(its_vitals)), budgets(its_budgets) {
  const std::string e(engine);
  const std::string m(model);
  for (std::size_t i = 0; i < kOutcomes; ++i) {
    requests[i] = shard.counter(
        "penstock_engine_requests_total", "Calls to engines, by how they ended.",
        {{"engine", e}, {"model", m}, {"outcome", std::string(label_of(static_cast<Outcome>(i)))}});
  }
  duration = shard.traced_histogram("penstock_engine_request_duration_seconds",
                                    "Time of a call to an engine, to its last byte.",
                                    observe::kDuration, {{"engine", e}, {"model", m}});
  first_token = shard.traced_histogram("penstock_engine_time_to_first_token_seconds",
                                       "Time until an engine's streamed answer began.",
                                       bounds.first_token, {{"engine", e}, {"model", m}});
  per_output_token = shard.histogram("penstock_engine_time_per_output_token_seconds",
                                     "Time for each output token behind the first.", observe::kTpot,
                                     {{"engine", e}, {"model", m}});
  const auto tokens = [&](std::string_view type) {
    return shard.counter("penstock_tokens_total", "Tokens as the engines count them.",
                         {{"engine", e}, {"model", m}, {"type", std::string(type)}});
  };
  cost = shard.counter("penstock_cost_total",
                       "Money that calls came to, by the prices of the settings.",
                       {{"engine", e}, {"model", m}});
  tokens_input = tokens("input");
  tokens_output = tokens("output");
  tokens_cached_input = tokens("cached_input");
  tokens_reasoning = tokens("reasoning");
  const auto per_request = [&](std::string_view type) {
    return shard.histogram("penstock_request_tokens", "Tokens of one request.", observe::kTokens,
                           {{"engine", e}, {"model", m}, {"type", std::string(type)}});
  };
  request_tokens_input = per_request("input");
  request_tokens_output = per_request("output");
  question_complexity = shard.histogram("penstock_question_complexity_ratio",
                                        "How complex the questions are, from 0 to 1.",
                                        observe::kRatio, {{"model", m}});
  for (std::size_t i = 0; i < complexity::kClasses; ++i) {
    const auto kind = static_cast<complexity::Class>(i);
    questions[i] = shard.counter("penstock_questions_total", "Questions, by how complex they are.",
                                 {{"model", m}, {"class", std::string(complexity::name_of(kind))}});
  }
  in_flight =
      shard.gauge("penstock_engine_in_flight", "Calls to engines under way.", {{"engine", e}});
  chunks = shard.counter("penstock_stream_chunks_total",
                         "Pieces of streamed answers passed on to clients.", {{"engine", e}});
  for (std::size_t i = 0; i < kOutcomes; ++i) {
    interruptions[i] = shard.counter(
        "penstock_stream_interruptions_total", "Streamed answers that ended before their end.",
        {{"engine", e}, {"reason", std::string(label_of(static_cast<Outcome>(i)))}});
  }
}

Metrics::Metrics(observe::Shard& shard, const Bounds& bounds)
    : in_flight(shard.gauge("penstock_http_requests_in_flight",
                            "Requests that wait for their answer's end.", {})),
      cache_hits(cache_requests(shard, "hit")),
      cache_misses(cache_requests(shard, "miss")),
      cache_stale(cache_requests(shard, "stale")),
      cache_bypasses(cache_requests(shard, "bypass")),
      coalesced(shard.counter("penstock_cache_coalesced_requests_total",
                              "Requests that shared an engine call under way.",
                              {{"level", "memory"}})),
      saved_tokens(shard.counter("penstock_cache_saved_tokens_total",
                                 "Tokens of answers that came from the cache.",
                                 {{"level", "memory"}})),
      warmed_memory(cache_warmed(shard, "memory")),
      warmed_redis(cache_warmed(shard, "redis")),
      cache_get(cache_operation(shard, "get")),
      cache_set(cache_operation(shard, "set")),
      redis{cache_requests(shard, "hit", "redis"),   cache_requests(shard, "miss", "redis"),
            cache_requests(shard, "stale", "redis"), cache_requests(shard, "error", "redis"),
            cache_operation(shard, "get", "redis"),  cache_operation(shard, "set", "redis")},
      semantic{cache_requests(shard, "hit", "semantic"), cache_requests(shard, "miss", "semantic"),
               cache_requests(shard, "error", "semantic"),
               cache_operation(shard, "get", "semantic")},
      shard_(shard),
      streams_(shard.counter("penstock_http_streams_total",
                             "Answers that were sent as a stream of events.",
                             {{"protocol", "http1"}})),
      turned_away_{turned_away_for_memory(shard, "interactive"),
                   turned_away_for_memory(shard, "batch"),
                   turned_away_for_memory(shard, "unknown")} {
  for (std::size_t p = 0; p < http::kPackings; ++p) {
    const std::string coding(http::name_of(static_cast<http::Packing>(p)));
    compressed_[p] = shard.counter("penstock_http_compressed_bytes_total",
                                   "Bodies that were sent compressed, as they were sent.",
                                   {{"encoding", coding}});
    uncompressed_[p] =
        shard.counter("penstock_http_uncompressed_bytes_total",
                      "The same bodies as they were before.", {{"encoding", coding}});
  }
  for (std::size_t m = 0; m < kAuthMethods; ++m) {
    for (std::size_t r = 0; r < kAuthResults; ++r) {
      auth_[m][r] = shard.counter("penstock_auth_requests_total",
                                  "Requests by how they said who asks, and what came of it.",
                                  {{"method", std::string(label_of(static_cast<AuthMethod>(m)))},
                                   {"result", std::string(label_of(static_cast<AuthResult>(r)))}});
    }
  }
  for (std::size_t k = 0; k < kLimitKinds.size(); ++k) {
    for (const bool admitted : {false, true}) {
      limits_[k][admitted ? 1 : 0] =
          shard.counter("penstock_ratelimit_decisions_total", "Decisions about limits.",
                        {{"limit", std::string(limit::label_of(kLimitKinds[k]))},
                         {"decision", admitted ? "admitted" : "refused"}});
    }
  }
  limit_decision_ = shard.histogram("penstock_ratelimit_decision_duration_seconds",
                                    "Time of a decision about limits.", observe::kFast, {});
  for (std::size_t i = 0; i < kEndpoints; ++i) {
    const auto endpoint = static_cast<Endpoint>(i);
    const std::string name(label_of(endpoint));
    Route& route = routes_[i];
    for (std::size_t c = 0; c < kCodes.size(); ++c) {
      route.codes[c] = shard.counter(kRequests, kRequestsHelp,
                                     {{"route", name},
                                      {"method", std::string(usual_method(endpoint))},
                                      {"code", std::to_string(kCodes[c])}});
    }
    for (std::size_t k = 1; k < kClasses.size(); ++k) {
      if (k == 2) continue;  // the gateway follows and gives no redirects
      for (const bool stream : {false, true}) {
        route.duration[k][stream ? 1 : 0] =
            shard.traced_histogram("penstock_http_request_duration_seconds",
                                   "Time from a request's last byte to its "
                                   "answer's last byte.",
                                   bounds.duration,
                                   {{"route", name},
                                    {"code_class", std::string(kClasses[k])},
                                    {"stream", stream ? "true" : "false"}});
      }
    }
    for (std::size_t r = 0; r < kCacheResults; ++r) {
      route.overhead[r] = shard.histogram(
          "penstock_request_overhead_seconds",
          "All the time of a request less the wait for engines.", bounds.overhead,
          {{"route", name}, {"cache", std::string(label_of(static_cast<CacheResult>(r)))}});
    }
    route.request_size =
        shard.histogram("penstock_http_request_size_bytes", "Size of request bodies.",
                        observe::kSize, {{"route", name}});
    route.response_size =
        shard.histogram("penstock_http_response_size_bytes", "Size of answer bodies.",
                        observe::kSize, {{"route", name}});
    for (std::size_t k = 0; k < kInvalids; ++k) {
      route.invalid[k] = shard.counter(
          "penstock_validation_errors_total", "Requests refused for what they say.",
          {{"route", name}, {"kind", std::string(label_of(static_cast<Invalid>(k)))}});
    }
  }
}

void Metrics::settle(const Settled& request) {
  Route& route = routes_[static_cast<std::size_t>(request.endpoint)];
  const auto code = std::find(kCodes.begin(), kCodes.end(), request.status);
  if (code != kCodes.end() && request.method == usual_method(request.endpoint)) {
    route.codes[static_cast<std::size_t>(code - kCodes.begin())].add();
  } else {
    settle_rare(request);
  }
  if (request.tenant != nullptr) request.tenant->answered(request.status);
  const auto klass = static_cast<std::size_t>(std::clamp(request.status / 100, 1, 5) - 1);
  if (request.stream && klass == 1) streams_.add();
  route.duration[klass][request.stream ? 1 : 0].observe_with(seconds(request.duration),
                                                             request.exemplar);
  route.overhead[static_cast<std::size_t>(request.cache)].observe(seconds(request.overhead));
  route.request_size.observe(static_cast<double>(request.request_bytes));
  route.response_size.observe(static_cast<double>(request.response_bytes));
}

// Bounded: eight methods and the status codes there are. The registry, which a scrape may hold for
// milliseconds, is asked once for each.
void Metrics::settle_rare(const Settled& request) {
  const std::string_view method = method_label(request.method);
  const auto [at, fresh] = rare_.try_emplace({request.endpoint, method, request.status});
  if (fresh) {
    at->second = shard_.counter(kRequests, kRequestsHelp,
                                {{"route", std::string(label_of(request.endpoint))},
                                 {"method", std::string(method)},
                                 {"code", std::to_string(request.status)}});
  }
  at->second.add();
}

void Metrics::limited(std::optional<limit::What> refused, limit::What asked, Duration took) {
  limits_[kind_of(refused.value_or(asked))][refused ? 0 : 1].add();
  limit_decision_.observe(seconds(took));
}

void Metrics::invalid(Endpoint endpoint, Invalid kind) {
  routes_[static_cast<std::size_t>(endpoint)].invalid[static_cast<std::size_t>(kind)].add();
}

}  // namespace penstock::gateway
