#include "access/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace penstock::access {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;
using simdjson::dom::object;

Error invalid(std::string what) { return {Kind::invalid, Source::client, false, std::move(what)}; }

// What is wrong with it, or nothing.
const char* fault(element value, int depth) {
  if (depth > StrictJson::kMostDepth) return "it is nested too deep";
  if (value.type() == element_type::ARRAY) {
    simdjson::dom::array array;
    if (value.get(array) != simdjson::SUCCESS) return "it is no valid JSON";
    for (const element one : array) {
      if (const char* what = fault(one, depth + 1)) return what;
    }
  } else if (value.type() == element_type::OBJECT) {
    object members;
    if (value.get(members) != simdjson::SUCCESS) return "it is no valid JSON";
    std::vector<std::string_view> names;
    for (const auto member : members) {
      names.push_back(member.key);
      if (const char* what = fault(member.value, depth + 1)) return what;
    }
    std::sort(names.begin(), names.end());
    if (std::adjacent_find(names.begin(), names.end()) != names.end()) {
      return "an object names a member twice";
    }
  }
  return nullptr;
}

}  // namespace

Result<object> StrictJson::read(std::string_view text) {
  element root;
  if (parser_.parse(text.data(), text.size(), true).get(root) != simdjson::SUCCESS) {
    return invalid("it is no valid JSON");
  }
  object members;
  if (root.get(members) != simdjson::SUCCESS) return invalid("it is no JSON object");
  if (const char* what = fault(root, 0)) return invalid(what);
  return members;
}

std::optional<std::string_view> string_member(object members, std::string_view name, bool& wrong) {
  element value;
  if (members.at_key(name).get(value) != simdjson::SUCCESS) return std::nullopt;
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) return text;
  wrong = true;
  return std::nullopt;
}

void append_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace penstock::access
