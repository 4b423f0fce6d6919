#include "admin/body.h"

#include <simdjson.h>

#include <algorithm>
#include <set>

#include "admin/words.h"
#include "exchange/refusals.h"
#include "http/url.h"
#include "settings/values.h"

namespace penstock::admin {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;
using simdjson::dom::object;

using Wrong = std::optional<Refusal>;

Refusal not_valid(const std::string& param, const std::string& expected) {
  return refusal(Reason::invalid_value, "Invalid '" + param + "': expected " + expected + ".",
                 param);
}

Refusal no_object(const std::string& param) {
  if (param.empty()) return refusal(Reason::invalid_json, "The body must be a JSON object.");
  return not_valid(param, "an object");
}

// As it would be written in an option: 5 is "5".
std::optional<std::string> text_of(element value) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) return std::string(text);
  std::uint64_t whole = 0;
  if (value.type() != element_type::DOUBLE && value.get(whole) == simdjson::SUCCESS) {
    return std::to_string(whole);
  }
  double number = 0;
  if (value.type() == element_type::DOUBLE && value.get(number) == simdjson::SUCCESS) {
    return fmt::format("{:.9f}", number);
  }
  return std::nullopt;
}

// Names that are not taken, or stand there twice.
Wrong check_names(object members, const std::string& within,
                  const std::vector<std::string_view>& taken) {
  std::set<std::string_view> seen;
  for (const auto member : members) {
    const std::string name =
        within.empty() ? std::string(member.key) : within + "." + std::string(member.key);
    if (std::find(taken.begin(), taken.end(), member.key) == taken.end()) {
      return refusal(Reason::unknown_member,
                     "There is no member '" + name.substr(0, 100) + "' here.", name.substr(0, 100));
    }
    if (!seen.insert(member.key).second) {
      return refusal(Reason::duplicate_member,
                     "The body is ambiguous: it names the member '" + name + "' twice.", name);
    }
  }
  return std::nullopt;
}

Wrong read_limit(element value, const std::string& param, std::string_view name,
                 access::KeyChange& change) {
  std::optional<std::string> text = value.is_null() ? "default" : text_of(value);
  Result<void> taken = text ? take_limit(name, *text, change)
                            : Error{Kind::invalid, Source::client, false, "a string or a number"};
  if (!taken) return not_valid(param, taken.error().detail);
  return std::nullopt;
}

Wrong read_limits(element value, access::KeyChange& change) {
  object members;
  if (value.get(members) != simdjson::SUCCESS) return no_object("limits");
  if (Wrong wrong = check_names(members, "limits", {"requests", "tokens", "inflight", "spend"})) {
    return wrong;
  }
  for (const auto member : members) {
    if (member.key != "spend") {
      if (Wrong wrong =
              read_limit(member.value, "limits." + std::string(member.key), member.key, change)) {
        return wrong;
      }
      continue;
    }
    object spend;
    if (member.value.get(spend) != simdjson::SUCCESS) return no_object("limits.spend");
    if (Wrong wrong = check_names(spend, "limits.spend", {"day", "month"})) return wrong;
    for (const auto one : spend) {
      const std::string_view name = one.key == "day" ? "spend_day" : "spend_month";
      if (Wrong wrong =
              read_limit(one.value, "limits.spend." + std::string(one.key), name, change)) {
        return wrong;
      }
    }
  }
  return std::nullopt;
}

Wrong read_models(element value, access::KeyChange& change) {
  simdjson::dom::array array;
  if (value.get(array) != simdjson::SUCCESS) return not_valid("models", "an array of names");
  std::vector<std::string> models;
  for (const element one : array) {
    std::string_view text;
    if (one.get(text) != simdjson::SUCCESS) return not_valid("models", "an array of names");
    models.emplace_back(text);
  }
  change.models = std::move(models);
  return std::nullopt;
}

// Members that are texts; null takes back what can be taken back.
Wrong read_text(element value, std::string_view name, WallTime now, Body& body) {
  const std::string param(name);
  const bool null = value.is_null();
  std::string_view text;
  if (!null && value.get(text) != simdjson::SUCCESS) return not_valid(param, "a string");
  if (null && name != "cache_scope" && name != "expires") return not_valid(param, "a string");
  Result<void> taken;
  if (name == "tenant") {
    body.tenant = text;
  } else if (name == "name") {
    body.name = text;
    body.change.name = text;
  } else if (name == "priority") {
    taken = take_priority(text, body.change);
  } else if (name == "cache_scope") {
    taken = take_scope(null ? "default" : text, body.change);
  } else if (name == "expires") {
    taken = take_expiry(null ? "never" : text, now, body.change);
  } else {  // grace
    const auto grace = settings::parse_duration(text);
    if (!grace) return not_valid(param, "a time such as 1h");
    body.grace = *grace;
  }
  if (!taken) return not_valid(param, taken.error().detail);
  return std::nullopt;
}

}  // namespace

Result<Body, Refusal> read_body(std::string_view json,
                                std::initializer_list<std::string_view> members, WallTime now) {
  Body body;
  if (json.empty()) return body;
  simdjson::dom::parser parser;
  element root;
  if (const auto error = parser.parse(json.data(), json.size(), true).get(root)) {
    static_cast<void>(error);  // of simdjson's own, for programmers
    return refusal(Reason::invalid_json, "The body is not valid JSON.");
  }
  object all;
  if (root.get(all) != simdjson::SUCCESS) return no_object({});
  if (Wrong wrong = check_names(all, {}, members)) return *wrong;
  for (const auto member : all) {
    Wrong wrong = member.key == "limits"   ? read_limits(member.value, body.change)
                  : member.key == "models" ? read_models(member.value, body.change)
                                           : read_text(member.value, member.key, now, body);
    if (wrong) return *wrong;
  }
  return body;
}

Result<Query, Refusal> read_query(std::string_view query, std::string_view names) {
  Query out;
  const std::string padded = " " + std::string(names) + " ";
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const std::string name = http::percent_decoded(pair.substr(0, equals));
    std::string value = http::percent_decoded(pair.substr(std::min(equals + 1, pair.size())));
    const bool taken = !name.empty() && name.find(' ') == name.npos &&
                       padded.find(" " + name + " ") != padded.npos;
    if (!taken) {
      return refusal(Reason::unknown_member,
                     "There is no parameter '" + name.substr(0, 100) + "' here.",
                     name.substr(0, 100));
    }
    if (!out.emplace(name, std::move(value)).second) {
      return refusal(Reason::duplicate_member, "The parameter '" + name + "' is given twice.",
                     name);
    }
  }
  return out;
}

}  // namespace penstock::admin
