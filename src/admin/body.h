// The JSON bodies and the query parameters of the admin API: what is not known, or stands there
// twice, is refused by its name.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "access/office.h"
#include "base/result.h"
#include "exchange/exchange.h"

namespace penstock::admin {

// What a body can say; nothing: it does not.
struct Body {
  access::KeyChange change;
  std::optional<std::string> tenant;
  std::optional<std::string> name;  // of a tenant; that of a key is in `change`
  std::optional<Duration> grace;
};

// `members`: those that this operation takes. An empty text is an empty object.
Result<Body, Refusal> read_body(std::string_view json,
                                std::initializer_list<std::string_view> members, WallTime now);

using Query = std::map<std::string, std::string, std::less<>>;
// `names`: those that are taken, with a space between.
Result<Query, Refusal> read_query(std::string_view query, std::string_view names);

}  // namespace penstock::admin
