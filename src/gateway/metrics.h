// What a worker's gateway counts. One set a worker, made when its routes load; a request finds its
// handles by index, never by name.
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <string>
#include <tuple>

#include "budget/tally.h"
#include "complexity/complexity.h"
#include "engine/vitals.h"
#include "exchange/exchange.h"
#include "exchange/served.h"
#include "gateway/gen_ai.h"
#include "gateway/tenant_metrics.h"
#include "http/compress.h"
#include "limit/account.h"
#include "observe/metrics.h"
#include "trace/context.h"

namespace penstock::gateway {

inline double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// Upper bounds of histograms that budgets look at: their limits are among them.
struct Bounds {
  explicit Bounds(const std::vector<budget::Objective>& objectives = {});
  std::vector<double> duration, overhead, first_token;
};

inline constexpr std::size_t kEndpoints = 5;
std::string_view label_of(Endpoint endpoint);

// What the cache had to do with an answer; also the first word of x-penstock-cache.
enum class CacheResult : std::uint8_t { none, hit, miss, coalesced, bypass, stale };
inline constexpr std::size_t kCacheResults = 6;
std::string_view label_of(CacheResult result);

// How a call to an engine ended.
enum class Outcome : std::uint8_t {
  success,
  client_error,
  rate_limited,
  server_error,
  timeout,
  connect_error,
  protocol_error,
  cancelled,
};
inline constexpr std::size_t kOutcomes = 8;
std::string_view label_of(Outcome outcome);

// What was wrong with a request.
enum class Invalid : std::uint8_t {
  framing,
  json,
  schema,
  size,
  model,
  parameter,
  content_type,
};
inline constexpr std::size_t kInvalids = 7;
std::string_view label_of(Invalid invalid);

// How somebody said who it is, and what came of it.
enum class AuthMethod : std::uint8_t { none, key, jwt };
inline constexpr std::size_t kAuthMethods = 3;
enum class AuthResult : std::uint8_t {
  success,
  missing,
  invalid,
  expired,
  revoked,
  forbidden,
  error
};
inline constexpr std::size_t kAuthResults = 7;

// Of one engine and model, as configured; names from outside are "other".
struct EngineMetrics {
  EngineMetrics(observe::Shard& shard, std::string_view engine, std::string_view model,
                engine::VitalsPtr vitals, const Bounds& bounds, budget::Tally* budgets);

  void saw_first_token(Duration after, const observe::TraceId& exemplar) {
    first_token.observe_with(seconds(after), exemplar);
    if (budgets != nullptr) budgets->first_token(after);
  }

  engine::VitalsPtr vitals;  // the engine's: told of each call's end too

  std::array<observe::Counter, kOutcomes> requests;
  observe::TracedHistogram duration;
  observe::TracedHistogram first_token;
  observe::Histogram per_output_token;
  // Of the answers seen here lately: what a call without max_tokens may come to.
  std::uint64_t typical_output() const { return static_cast<std::uint64_t>(typical_output_) + 1; }
  void saw_output(std::uint64_t tokens) {
    typical_output_ += (static_cast<double>(tokens) - typical_output_) / 16;
  }

  observe::Counter cost;
  observe::Counter tokens_input, tokens_output, tokens_cached_input, tokens_reasoning;
  observe::Histogram request_tokens_input, request_tokens_output;
  // Of the model, whatever the engine: its questions.
  void asked(float score) {
    question_complexity.observe(complexity::exact(score));
    questions[static_cast<std::size_t>(complexity::class_of(score))].add();
  }
  observe::Histogram question_complexity;
  std::array<observe::Counter, complexity::kClasses> questions;
  // Under the conventions' names, by Endpoint; of what is no operation of a model none.
  std::array<GenAiMetrics, kEndpoints> gen_ai;
  // Of the engine, whatever the model.
  observe::Gauge in_flight;
  observe::Counter chunks;
  std::array<observe::Counter, kOutcomes> interruptions;
  // What the ledger calls it, by Endpoint.
  std::array<const Served*, kEndpoints> served{};
  budget::Tally* budgets;         // of its worker; null: nobody looks
  std::string_view told_why_not;  // the last reason for which its answers are not cached; a literal

 private:
  double typical_output_ = 256;
};

// One request, at its end.
struct Settled {
  Endpoint endpoint = Endpoint::other;
  std::string_view method;
  int status = 0;
  bool stream = false;
  CacheResult cache = CacheResult::none;
  Duration duration{};
  Duration overhead{};
  std::uint64_t request_bytes = 0;
  std::uint64_t response_bytes = 0;
  TenantMetrics* tenant = nullptr;  // of who asked; null: it has no series of its own
  trace::TraceId trace = {};        // none: it is not seen
  observe::TraceId exemplar = {};   // where it is kept: beside its duration
};

struct Metrics {
  Metrics(observe::Shard& shard, const Bounds& bounds);

  void settle(const Settled& request);
  void invalid(Endpoint endpoint, Invalid kind);
  void auth(AuthMethod method, AuthResult result) {
    auth_[static_cast<std::size_t>(method)][static_cast<std::size_t>(result)].add();
  }
  // A decision about limits: which of them refused, else `asked` was admitted.
  void limited(std::optional<limit::What> refused, limit::What asked, Duration took);

  // Near the limit of memory; nothing: it was not known yet who asks.
  void turned_away(std::optional<Priority> priority) {
    turned_away_[priority ? static_cast<std::size_t>(*priority) : 2].add();
  }

  observe::Gauge in_flight;
  // A body that was sent compressed.
  void packed(http::Packing packing, std::size_t before, std::size_t after) {
    const auto at = static_cast<std::size_t>(packing);
    uncompressed_[at].add(static_cast<double>(before));
    compressed_[at].add(static_cast<double>(after));
  }

  observe::Counter cache_hits, cache_misses, cache_stale, cache_bypasses, coalesced, saved_tokens;
  observe::Counter warmed_memory, warmed_redis;
  observe::Histogram cache_get, cache_set;
  struct Redis {
    observe::Counter hits, misses, stale, errors;
    observe::Histogram get, set;
  } redis;
  struct Semantic {
    observe::Counter hits, misses, errors;
    observe::Histogram get;  // the embedding included
  } semantic;

 private:
  void settle_rare(const Settled& request);

  // The codes that the gateway answers with by itself; what an engine may say beside them is
  // resolved when it is first met.
  static constexpr std::array kCodes = {200, 400, 401, 403, 404, 405, 408, 413,
                                        429, 431, 499, 500, 501, 502, 503, 504};
  struct Route {
    std::array<observe::Counter, kCodes.size()> codes;
    std::array<std::array<observe::TracedHistogram, 2>, 5> duration;  // by code class and stream
    std::array<observe::Histogram, kCacheResults> overhead;
    observe::Histogram request_size, response_size;
    std::array<observe::Counter, kInvalids> invalid;
  };

  observe::Shard& shard_;
  std::map<std::tuple<Endpoint, std::string_view, int>, observe::Counter> rare_;  // by route,
                                                                                  // method, code
  observe::Counter streams_;
  std::array<observe::Counter, 3> turned_away_;  // by priority, and of nobody known
  std::array<observe::Counter, http::kPackings> compressed_, uncompressed_;
  std::array<std::array<observe::Counter, kAuthResults>, kAuthMethods> auth_;
  std::array<std::array<observe::Counter, 2>, 4> limits_;  // by kind, refused and admitted
  observe::Histogram limit_decision_;
  std::array<Route, kEndpoints> routes_;
};

}  // namespace penstock::gateway
