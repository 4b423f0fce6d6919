// JSON that decides who may do what: read strictly, one meaning or none.
//
// simdjson refuses what is no JSON and no UTF-8, but keeps both of two members of one name; a
// library that reads the first and one that reads the last would see two different tokens. Here
// such an object is refused, however deep it stands.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::access {

class StrictJson {
 public:
  static constexpr int kMostDepth = 16;

  // The text's one object. Valid until the next call. The Error says what is wrong, without the
  // text itself.
  Result<simdjson::dom::object> read(std::string_view text);

 private:
  simdjson::dom::parser parser_;
};

// A member that is a string; nothing if it is absent. `wrong` is set where it is something else.
std::optional<std::string_view> string_member(simdjson::dom::object object, std::string_view name,
                                              bool& wrong);

// Appends a JSON string with its quotes. REQUIRES: the text is UTF-8.
void append_string(std::string& out, std::string_view text);

}  // namespace penstock::access
