// The cells of an answer as what they were written from. A column of another type is a fault of
// ours, which reads as nothing: "" or 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "store/database.h"

namespace penstock::store {

inline std::string text_of(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* blob = std::get_if<Blob>(&value)) return blob->bytes;
  return {};
}

inline std::optional<std::int64_t> number_or_nothing(const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
  return std::nullopt;
}

inline std::int64_t number_of(const Value& value) { return number_or_nothing(value).value_or(0); }

inline Value value_of(const std::optional<std::int64_t>& number) {
  return number ? Value(*number) : Value();
}
inline Value value_of(const std::optional<std::string>& text) {
  return text ? Value(*text) : Value();
}

}  // namespace penstock::store
