// One line of the ledger: what a request, or several cache hits of a kind, used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/uuid.h"
#include "exchange/caller.h"
#include "exchange/exchange.h"

namespace penstock {

// A call of an engine, a refusal or an error has a row of its own with count 1. Hits of the cache
// are summed: one row for all of a second, worker, tenant, key, model, engine, route, level and
// status; its durations are sums then, its complexity is their average; its tokens are those of the
// kept answers, saved and not used, and it cost nothing.
struct UsageRow {
  Uuid id{};                 // UUIDv7, the gateway's own; its time is `time_us` in milliseconds
  std::int64_t time_us = 0;  // microseconds since 1970, when the request came
  std::string tenant;
  std::string key;
  std::string model;   // as configured; "other" for a name that is not
  std::string engine;  // empty: none was asked
  std::string route;   // "chat", "completions", "embeddings", "models", "other"
  std::int32_t status = 0;
  std::string cache;  // "memory", "redis", "semantic", "coalesced", "miss", "bypass"; empty: none
  std::uint64_t count = 1;
  Usage tokens;
  Nano cost = 0;
  std::optional<double> complexity;  // 0 to 1
  std::int64_t duration_us = 0;
  std::int64_t engine_us = 0;                  // of it, waiting for the engine
  std::optional<std::int64_t> first_token_us;  // of a stream, from the request on
  std::string session;
  std::string request_id;  // the client's or ours; empty in sums
  std::string trace_id;    // 32 hexadecimal digits; empty: none
  std::string error;       // a refusal's code; empty: none
  std::string question;    // only where asked for: the text, or "sha256:..." of it
  std::string answer;      // likewise
};

}  // namespace penstock
