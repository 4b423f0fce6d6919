// What a request's header fields are to the gateway: passed on, part of what is asked, or neither.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "exchange/exchange.h"
#include "http/head.h"

namespace penstock::gateway {

// What a look at all fields says of a question that may be known by its very bytes.
struct Glance {
  std::string_view credential;
  std::string_view request_id;
  std::string_view session;
  std::string_view origin;
  std::string_view accept_encoding;
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

// Everything end to end but credentials, what describes this connection, and what is ours.
std::vector<HeaderView> forwarded(const http::RequestHead& head);

// Of the forwarded fields those that may change the answer: all that are not known to be neutral
// (a client's name, languages, trace contexts). As text, in the order of their names.
std::string answer_fields(const http::RequestHead& head);

}  // namespace penstock::gateway
