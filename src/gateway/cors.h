// What a page of another origin may ask and read, in a browser: the CORS protocol of the Fetch
// standard, by `listen.cors.origins`.
//
//   preflight   OPTIONS, Origin, Access-Control-Request-Method  ->  204, or 403 and why
//   request     Origin                                          ->  its answer, and who may read it
//
// The browser is who enforces it; the gateway answers as ever and says what it allows. A request
// without Origin is looked at no further.
#pragma once

#include <string_view>

#include "exchange/exchange.h"
#include "http/server.h"
#include "settings/settings.h"

namespace penstock::gateway {

using Origins = settings::Listen::Cors;

// Adds to an answer's head what lets a page of `origin` read it. Nothing for an empty one.
void let_read(const Origins& allowed, std::string_view origin, http::Reply& reply);

// Whether a browser asks beforehand. No answer to it comes from an engine.
bool is_preflight(const Origins& allowed, const http::RequestHead& head);
// Answers it. REQUIRES: is_preflight.
void answer_preflight(const Origins& allowed, const http::RequestHead& head,
                      std::string_view request_id, http::Reply& reply);

}  // namespace penstock::gateway
