// What a request's header fields are to the gateway: passed on, part of what is asked, or neither.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/exchange.h"
#include "http/head.h"
#include "trace/trace.h"

namespace penstock::gateway {

// What a look at all fields says of a question that may be known by its very bytes.
struct Glance {
  std::string_view credential;
  std::string_view request_id;
  std::string_view session;
  std::string_view origin;
  std::string_view accept_encoding;
  std::string_view traceparent;
  bool json = false;  // the body is said to be JSON
  bool plain = true;  // no field changes what is asked, or how the cache may be used
};
Glance glance(const http::RequestHead& head);

// The key or token of a request, in any of the fields that clients use; empty: none.
std::string_view credential_of(const http::RequestHead& head);

// The session that a client says its question is of; empty: it does not say.
std::string_view session_of(const http::RequestHead& head);

// The first field that claims to be one of the gateway's own and is none: a misspelt wish must not
// go unnoticed. Empty if there is none.
std::string_view unknown_own_field(const http::RequestHead& head);

// What becomes of the caller's trace context on its way to an engine.
enum class TraceContext : std::uint8_t {
  pass,     // as it came
  replace,  // a traceparent of ours takes the place of the caller's
  drop,     // a trace of ours, which the caller's tracestate says nothing of
};

// Everything end to end but credentials, what describes this connection, baggage (whatever a
// caller's program puts there is not for an engine's vendor), and what is ours.
std::vector<HeaderView> forwarded(const http::RequestHead& head, TraceContext context);

TraceContext context_for(const trace::Trace& trace);

// Of the forwarded fields those that may change the answer: all that are not known to be neutral
// (a client's name, languages, trace contexts). As text, in the order of their names.
std::string answer_fields(const http::RequestHead& head);

}  // namespace penstock::gateway
