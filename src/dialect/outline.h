// What the gateway must know of an answer or of one chunk of a streamed one; both have the same
// outline: choices that finish, tools that are called, a usage, or an error.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "dialect/cursor.h"
#include "exchange/exchange.h"

namespace penstock::dialect {

// A bit for each index of a choice; OpenAI allows 128.
using Choices = std::array<std::uint64_t, 2>;
inline constexpr std::uint64_t kMostChoices = 128;

struct Outline {
  bool error = false;  // a top-level error that is not null
  bool has_choices = false;
  bool has_data = false;  // "data" is an array that is not empty: embeddings
  bool content_filtered = false;
  bool tool_calls = false;
  Choices seen{};      // indexes that choices have here
  Choices finished{};  // of those with a finish reason
  std::optional<Usage> usage;
  // "usage": null, as a piece of the text that can be cut out; empty if it is not there.
  std::string_view null_usage;

  bool usage_only() const { return has_choices && seen == Choices{} && usage.has_value(); }
};

// False if the text is not one JSON object in UTF-8, has choices that are no array, or one beyond
// the 128th.
bool read_outline(std::string_view text, Outline& outline);

// The object of token counts that comes next.
Usage read_usage_object(Cursor& json);

}  // namespace penstock::dialect
