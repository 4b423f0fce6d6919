#include "trace/context.h"

#include "base/hex.h"

namespace penstock::trace {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

// Upper-case digits are not allowed by the standard.
std::optional<std::uint64_t> read_hex(std::string_view digits) {
  std::uint64_t value = 0;
  for (const char c : digits) {
    const std::size_t digit = kDigits.find(c);
    if (digit == kDigits.npos) return std::nullopt;
    value = value << 4 | digit;
  }
  return value;
}

}  // namespace

TraceId new_trace_id(Random& random) {
  TraceId id{random.next(), random.next()};
  if (!id) id.low = 1;
  return id;
}

SpanId new_span_id(Random& random) {
  const SpanId id = random.next();
  return id != 0 ? id : 1;
}

std::optional<Context> parse_traceparent(std::string_view field) {
  constexpr std::size_t kSize = std::tuple_size_v<Traceparent>;
  if (field.size() < kSize || field[2] != '-' || field[35] != '-' || field[52] != '-') {
    return std::nullopt;
  }
  const auto version = read_hex(field.substr(0, 2));
  if (!version || *version == 0xff) return std::nullopt;
  if (*version == 0 ? field.size() != kSize : field.size() > kSize && field[kSize] != '-') {
    return std::nullopt;
  }
  const auto trace = parse_trace_id(field.substr(3, 32));
  const auto span = read_hex(field.substr(36, 16));
  const auto flags = read_hex(field.substr(53, 2));
  if (!trace || !span || *span == 0 || !flags) return std::nullopt;
  return Context{*trace, *span, (*flags & 1) != 0};
}

Traceparent traceparent(const Context& context) {
  Traceparent field;
  field.fill('0');
  field[2] = field[35] = field[52] = '-';
  write_hex(context.trace.low, write_hex(context.trace.high, field.data() + 3));
  write_hex(context.span, field.data() + 36);
  if (context.sampled) field[54] = '1';
  return field;
}

TraceText text_of(const TraceId& id) {
  TraceText text;
  write_hex(id.low, write_hex(id.high, text.data()));
  return text;
}

SpanText text_of(SpanId id) {
  SpanText text;
  write_hex(id, text.data());
  return text;
}

std::optional<TraceId> parse_trace_id(std::string_view hex) {
  if (hex.size() != std::tuple_size_v<TraceText>) return std::nullopt;
  const auto high = read_hex(hex.substr(0, 16));
  const auto low = read_hex(hex.substr(16));
  if (!high || !low || (*high | *low) == 0) return std::nullopt;
  return TraceId{*high, *low};
}

}  // namespace penstock::trace
