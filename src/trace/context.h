// Whose part a request is: the context that goes from one program to the next.
//
//   traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//                version-trace id-the caller's span-flags        (W3C Trace Context, level 2)
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/uuid.h"

namespace penstock::trace {

// 128 bits, the first of the text in `high`. All zero is none.
struct TraceId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  explicit operator bool() const { return (high | low) != 0; }
  friend bool operator==(const TraceId&, const TraceId&) = default;
};
using SpanId = std::uint64_t;  // 0 is none

struct Context {
  TraceId trace;
  SpanId span = 0;
  bool sampled = false;  // whoever made it keeps what it sees of this trace
  explicit operator bool() const { return static_cast<bool>(trace); }
  friend bool operator==(const Context&, const Context&) = default;
};

TraceId new_trace_id(Random& random);
SpanId new_span_id(Random& random);

// Nothing where the field is absent or says what it must not: then a trace begins here. A later
// version's field is read as far as this one's goes, as the standard asks.
std::optional<Context> parse_traceparent(std::string_view field);

using Traceparent = std::array<char, 55>;
Traceparent traceparent(const Context& context);
inline std::string_view text(const Traceparent& field) { return {field.data(), field.size()}; }

// In lower-case hexadecimal digits, as they are shown everywhere.
using TraceText = std::array<char, 32>;
using SpanText = std::array<char, 16>;
TraceText text_of(const TraceId& id);
SpanText text_of(SpanId id);
inline std::string_view text(const TraceText& id) { return {id.data(), id.size()}; }
inline std::string_view text(const SpanText& id) { return {id.data(), id.size()}; }
std::optional<TraceId> parse_trace_id(std::string_view hex);

}  // namespace penstock::trace
