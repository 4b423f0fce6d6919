#include "dialect/outline.h"

#include <simdjson.h>

namespace penstock::dialect {
namespace {

void read_details(Cursor& json, std::string_view wanted, std::uint64_t& count) {
  if (!json.is_object()) {
    json.skip();
    return;
  }
  Members members(json);
  while (members.next()) {
    if (members.name() == wanted) {
      count = json.unsigned_integer().value_or(0);
    } else {
      json.skip();
    }
  }
}

// Steps over a value; whether it is an array or object that is not empty.
bool skip_and_tell_if_some(Cursor& json) {
  const std::string_view value = json.skip();
  if (value.empty() || (value[0] != '[' && value[0] != '{')) return false;
  return value.find_first_not_of(" \t\r\n", 1) < value.size() - 1;
}

void read_message(Cursor& json, Outline& outline) {
  if (!json.is_object()) {
    json.skip();
    return;
  }
  Members members(json);
  while (members.next()) {
    const std::string_view name = members.name();
    if (name == "tool_calls" || name == "function_call") {
      outline.tool_calls |= skip_and_tell_if_some(json);
    } else {
      json.skip();
    }
  }
}

void read_choice(Cursor& json, std::uint64_t place, Outline& outline) {
  std::uint64_t index = place;
  bool finished = false;
  Members members(json);
  while (members.next()) {
    const std::string_view name = members.name();
    if (name == "index") {
      index = json.unsigned_integer().value_or(place);
    } else if (name == "finish_reason" && json.is_string()) {
      finished = true;
      outline.content_filtered |= json.raw_string() == "content_filter";
    } else if (name == "delta" || name == "message") {
      read_message(json, outline);
    } else {
      json.skip();
    }
  }
  if (index >= kMostChoices) {
    json.fail();
    return;
  }
  const std::uint64_t bit = std::uint64_t{1} << (index % 64);
  outline.seen[index / 64] |= bit;
  if (finished) outline.finished[index / 64] |= bit;
}

void read_choices(Cursor& json, Outline& outline) {
  if (!json.is_array()) {
    if (!json.is_null()) json.fail();  // no client could read it
    json.skip();
    return;
  }
  outline.has_choices = true;
  std::uint64_t place = 0;
  Elements choices(json);
  while (choices.next()) read_choice(json, place++, outline);
}

}  // namespace

Usage read_usage_object(Cursor& json) {
  Usage usage;
  Members members(json);
  while (members.next()) {
    const std::string_view name = members.name();
    if (name == "prompt_tokens" || name == "input_tokens") {
      usage.input = json.unsigned_integer().value_or(0);
    } else if (name == "completion_tokens" || name == "output_tokens") {
      usage.output = json.unsigned_integer().value_or(0);
    } else if (name == "prompt_tokens_details" || name == "input_tokens_details") {
      read_details(json, "cached_tokens", usage.cached_input);
    } else if (name == "completion_tokens_details" || name == "output_tokens_details") {
      read_details(json, "reasoning_tokens", usage.reasoning);
    } else {
      json.skip();
    }
  }
  return usage;
}

bool read_outline(std::string_view text, Outline& outline) {
  Cursor json(text);
  Members members(json);
  const char* before = nullptr;  // the end of the member before
  bool cut_comma_behind = false;
  while (members.next()) {
    const std::string_view name = members.name();
    if (name == "choices") {
      read_choices(json, outline);
    } else if (name == "usage" && json.is_object()) {
      outline.usage = read_usage_object(json);
    } else if (name == "usage" && json.is_null()) {
      const char* const from = before != nullptr ? before : name.data() - 1;
      const std::string_view null = json.skip();
      outline.null_usage = {from, static_cast<std::size_t>(null.data() + null.size() - from)};
      cut_comma_behind = before == nullptr;
    } else if (name == "error") {
      outline.error |= !json.is_null();
      json.skip();
    } else if (name == "data") {
      outline.has_data |= skip_and_tell_if_some(json);
    } else {
      json.skip();
    }
    if (json.ok()) before = json.here();
  }
  if (!json.ok() || !json.at_end()) return false;
  if (!simdjson::validate_utf8(text.data(), text.size())) return false;
  if (cut_comma_behind) {
    const char* const end = text.data() + text.size();
    const char* at = outline.null_usage.data() + outline.null_usage.size();
    while (at < end && is_space(*at)) ++at;
    if (at < end && *at == ',') ++at;
    outline.null_usage = {outline.null_usage.data(),
                          static_cast<std::size_t>(at - outline.null_usage.data())};
  }
  return true;
}

}  // namespace penstock::dialect
