// A second reading of JSON, plain and slow: a tree, made by RFC 8259 and the rules that the dialect
// adds to it. And its writer, which writes the same value in ever different ways.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "check.h"

namespace penstock::fuzz {

struct Json {
  enum class Kind : std::uint8_t { null, boolean, number, string, array, object };
  Kind kind = Kind::null;
  bool truth = false;
  std::string text;  // a string unescaped, a number as it was written
  std::vector<Json> elements;
  struct Member;
  std::vector<Member> members;

  // The last member of this name, or null.
  const Json* find(std::string_view name) const;
  bool is(Kind wanted) const { return kind == wanted; }
};
struct Json::Member {
  std::string name;
  Json value;
};

struct JsonRules {
  std::size_t depth = 64;
  bool names_may_repeat = false;
};

// Nothing if the text is no JSON, is no UTF-8, holds half a surrogate pair, a number that no double
// can be, or breaks the rules.
std::optional<Json> read_json(std::string_view text, const JsonRules& rules = {});
inline bool is_json(std::string_view text) { return read_json(text, {200, true}).has_value(); }

bool is_utf8(std::string_view text);

// The same value: members in any order, white space, escapes and numbers in any form.
std::string write_anew(const Json& json, Chance& chance);

}  // namespace penstock::fuzz
