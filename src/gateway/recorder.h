// What is settled at the end of a request, whatever its end: metrics and the access log.
#pragma once

#include <string>
#include <string_view>

#include "base/uuid.h"
#include "exchange/exchange.h"
#include "gateway/bill.h"
#include "gateway/metrics.h"
#include "gateway/standing.h"
#include "http/server.h"

namespace penstock::gateway {

class Gateway;

class Recorder {
 public:
  Recorder(Gateway& gateway, const http::Request& request, const http::Reply& reply);
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  ~Recorder();

  // The client's own x-request-id where it is usable, else one of ours.
  std::string_view request_id() const { return request_id_; }
  // In hexadecimal digits; empty: it is not seen.
  std::string_view trace_id() const;

  // Time spent waiting for an engine is not the gateway's.
  void waited_for_engine(Duration duration) { engine_wait_ += duration; }
  Duration engine_wait() const { return engine_wait_; }
  // "bypass; reason=tools"; REQUIRES: cache is bypass.
  std::string_view bypass_header() const;
  Time begun() const { return begun_; }

  // Another piece of the answer, for a backend that is told of texts.
  void tell_answer(std::string_view piece) {
    if (trace::Texts* const texts = bill->trace.texts.get()) texts->add_answer(piece);
  }

  // Writes the row of what has come to its end but for its last bytes: whoever has them is counted,
  // whatever happens to this program then. Once; else its end does it.
  void close();

  BillPtr bill;
  Endpoint endpoint = Endpoint::other;
  bool stream = false;
  CacheResult cache = CacheResult::none;
  std::string_view bypass_reason;     // a literal
  bool called = false;                // an engine, though a kept answer was given
  std::string_view level = "memory";  // of a hit, or of a stale answer; a literal
  std::string_view model;             // as it was asked for
  std::string_view model_label;       // as configured
  StandingPtr who;
  std::string_view engine;
  bool client_left = false;
  std::string_view error;  // a refusal's code, a literal
  Time first_byte{};       // of a stream that was passed on
  // The row is not written: the hit was summed.
  void booked() { bill->forget(); }

 private:
  int status() const;
  // seen.cc
  void see_begin();
  void see_end(Settled& settled);

  Gateway& gateway_;
  const http::Request& request_;
  const http::Reply& reply_;
  Time begun_;
  bool closed_ = false;
  Duration engine_wait_{};
  Uuid own_id_;
  std::string_view request_id_;
  trace::TraceText trace_text_{};
};

// The client's id where it is usable, or one made into `own`.
std::string_view request_id_of(std::string_view given, Random& random, Uuid& own);

// True for an x-request-id that may be repeated in headers and logs: 1 to 128 visible ASCII.
bool usable_request_id(std::string_view id);

}  // namespace penstock::gateway
