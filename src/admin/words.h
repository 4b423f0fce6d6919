// Keys and tenants as operators write and read them: "100/m", "none", 20 a month, "30d". The
// command line and the admin API share it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/office.h"
#include "base/result.h"
#include "dialect/json.h"

namespace penstock::admin {

inline constexpr std::array<std::string_view, 5> kLimitNames = {"requests", "tokens", "inflight",
                                                                "spend_day", "spend_month"};

// Takes a limit of this name into the change: "600/m" of requests and tokens, "5" of inflight, "20"
// or "0.5" of spend; "none" is no limit, "default" takes the limit back. The Error says what is
// expected, without the name. REQUIRES: `name` is one of kLimitNames.
Result<void> take_limit(std::string_view name, std::string_view text, access::KeyChange& change);
Result<void> take_priority(std::string_view text, access::KeyChange& change);
// "default" takes it back.
Result<void> take_scope(std::string_view text, access::KeyChange& change);
// "30d" from now on, a day or time of UTC such as 2027-01-31 or 2027-01-31T12:00:00Z; "never".
Result<void> take_expiry(std::string_view text, WallTime now, access::KeyChange& change);

// As they are written; nothing: not decided there.
std::optional<std::string> limit_text(const Limits& limits, std::string_view name);
// "2027-01-31T12:00:00Z"
std::string time_text(WallTime time);

// One object each. Limits that are not decided are absent.
void write_key(dialect::JsonWriter& json, const access::Key& key, WallTime now);
void write_tenant(dialect::JsonWriter& json, const access::Tenant& tenant);

}  // namespace penstock::admin
