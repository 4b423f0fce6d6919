// What Alertmanager sends to a webhook (its version "4").
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "exchange/exchange.h"
#include "store/alerts.h"

namespace penstock::admin {

// A time of RFC 3339, in microseconds since 1970: "2027-01-31T12:00:00.25Z", "...+01:00".
std::optional<std::int64_t> rfc3339_us(std::string_view text);

// The alerts of a message, as they are to be kept. Members that are not known are left out: the
// format is Alertmanager's to extend.
Result<std::vector<store::Alert>, Refusal> read_webhook(std::string_view json, std::int64_t now_us);

}  // namespace penstock::admin
