// What HTTP refused before there was a question, as a client is told.
#pragma once

#include <string_view>

#include "exchange/refusals.h"
#include "http/head.h"
#include "settings/settings.h"

namespace penstock::gateway {

// `limits`: those in force where it was refused. `section` is where their settings stand, such as
// "listen.limits."; empty where they have none, and then only their values are told.
Refusal refusal_of_http(const http::BadMessage& bad, const settings::Listen::Limits& limits,
                        std::string_view section);

}  // namespace penstock::gateway
