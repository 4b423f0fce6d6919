#include "gateway/recorder.h"

#include <algorithm>
#include <array>

#include "gateway/gateway.h"

namespace penstock::gateway {
namespace {

constexpr std::size_t kLoggedName = 200;  // of a name that a client chose

// Of a path what is no client's own word: somebody may have put a key into it. What the API has is
// written, what is behind it is "*", and of what is not of the API at all nothing. Valid as long as
// `made`.
std::string_view shown_path(std::string_view path, Endpoint endpoint, std::string& made) {
  if (path == trace::route_of(endpoint)) return path;
  constexpr std::array<std::string_view, 15> kResources = {
      "assistants", "audio",   "batches",     "conversations", "evals",
      "files",      "images",  "models",      "moderations",   "rerank",
      "responses",  "threads", "fine_tuning", "uploads",       "vector_stores"};
  constexpr std::string_view kVersion = "/v1/";
  if (!path.starts_with(kVersion)) return "/*";
  const std::string_view rest = path.substr(kVersion.size());
  const std::string_view name = rest.substr(0, rest.find('/'));
  if (std::find(kResources.begin(), kResources.end(), name) == kResources.end()) return "/v1/*";
  if (name.size() == rest.size()) return path;
  made = path.substr(0, kVersion.size() + name.size() + 1);
  return made += '*';
}

std::uint64_t unix_ms() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1000000;
}

}  // namespace

bool usable_request_id(std::string_view id) {
  if (id.empty() || id.size() > 128) return false;
  for (const char c : id) {
    if (c <= ' ' || c > '~') return false;
  }
  return true;
}

std::string_view request_id_of(std::string_view given, Random& random, Uuid& own) {
  if (usable_request_id(given)) return given;
  own = make_uuid7(unix_ms(), random);
  return text(own);
}

Recorder::Recorder(Gateway& gateway, const http::Request& request, const http::Reply& reply)
    : gateway_(gateway), request_(request), reply_(reply), begun_(request.received) {
  request_id_ = request_id_of(request.head.find("x-request-id"), gateway.random_, own_id_);
  bill = std::make_shared<Bill>(gateway.book_);
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  bill->row.time_us = std::chrono::duration_cast<std::chrono::microseconds>(wall).count();
  see_begin();
  ++gateway_.in_flight_;
  gateway_.metrics_.in_flight.set(static_cast<double>(gateway_.in_flight_));
}

Recorder::~Recorder() {
  --gateway_.in_flight_;
  Metrics& metrics = gateway_.metrics_;
  metrics.in_flight.set(static_cast<double>(gateway_.in_flight_));
  const Time now = Clock::now();
  close();
  Settled settled;
  settled.endpoint = endpoint;
  settled.method = request_.head.method;
  settled.status = status();
  settled.stream = stream;
  settled.cache = cache;
  settled.tenant = bill->tenant.get();
  settled.duration = now - begun_;
  settled.overhead = settled.duration - engine_wait_;
  settled.request_bytes = request_.body.size();
  settled.response_bytes = reply_.bytes_sent();
  see_end(settled);
  gateway_.settle(settled, request_.head, request_id_, model, engine);
}

// 499 in logs, metrics and the ledger only: nobody was there to read a status.
int Recorder::status() const {
  return client_left || reply_.client_left() ? 499 : reply_.status_code();
}

void Recorder::close() {
  if (closed_) return;
  closed_ = true;
  const auto us = [](Duration duration) {
    return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  };
  if (!who) {
    bill->forget();
    gateway_.book_stranger(endpoint, status(), Clock::now() - begun_);
    return;
  }
  UsageRow& row = bill->row;
  row.tenant = who->caller->tenant;
  row.key = who->caller->key;
  row.model = model_label;
  row.engine = engine;
  row.route = label_of(endpoint);
  row.status = status();
  const bool kept = cache == CacheResult::hit || cache == CacheResult::stale;
  if (called) {
    row.cache = label_of(CacheResult::miss);
  } else if (kept) {
    row.cache = level;
  } else if (cache != CacheResult::none) {
    row.cache = label_of(cache);
  }
  row.duration_us = us(Clock::now() - begun_);
  row.engine_us = us(engine_wait_);
  if (first_byte != Time()) row.first_token_us = us(first_byte - begun_);
  row.request_id = request_id_;
  if (row.status == 499 && gateway_.house_.engagement != nullptr) {
    gateway_.house_.engagement->abandoned();
  }
  row.error = error;
  bill->close();
}

std::string_view Recorder::bypass_header() const {
  if (bypass_reason == "off") return "bypass; reason=off";
  if (bypass_reason == "no-store") return "bypass; reason=no-store";
  if (bypass_reason == "size") return "bypass; reason=size";
  if (bypass_reason == "tools") return "bypass; reason=tools";
  if (bypass_reason == "error") return "bypass; reason=error";
  return "bypass; reason=sampled";
}

// Metrics and the access log of one request.
void Gateway::settle(const Settled& settled, const http::RequestHead& head,
                     std::string_view request_id, std::string_view model, std::string_view engine) {
  metrics_.settle(settled);
  budget::Answered answered;
  answered.status = settled.status;
  answered.stream = settled.stream;
  answered.engine_spared = settled.cache == CacheResult::hit ||
                           settled.cache == CacheResult::stale ||
                           settled.cache == CacheResult::coalesced;
  answered.engine_asked = settled.cache == CacheResult::miss;
  answered.took = settled.duration;
  answered.overhead = settled.overhead;
  tally_.answered(answered);
  const settings::AccessLog access = snapshot_->settings->logging.access;
  if (access == settings::AccessLog::none) return;
  if (access == settings::AccessLog::errors && settled.status < 400) return;
  std::string made;
  trace::TraceText trace{};
  if (settled.trace) trace = trace::text_of(settled.trace);
  house_.log.access({
      {"request_id", request_id},
      {"trace_id", settled.trace ? trace::text(trace) : std::string_view()},
      {"method", trace::method_of(head.method)},
      {"path", shown_path(head.path, settled.endpoint, made)},
      {"status", settled.status},
      {"model", model.substr(0, kLoggedName)},
      {"engine", engine},
      {"cache", label_of(settled.cache)},
      {"duration_ms", std::chrono::duration<double, std::milli>(settled.duration).count()},
      {"bytes", settled.response_bytes},
  });
}

}  // namespace penstock::gateway
