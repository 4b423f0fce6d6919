#include "dialect/json.h"

#include <array>
#include <charconv>
#include <cmath>

#include "dialect/bytes.h"

namespace penstock::dialect {
namespace {

void write_escape(std::string& out, char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\b': out += "\\b"; return;
    case '\f': out += "\\f"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  const auto byte = static_cast<unsigned char>(c);
  const std::array<char, 6> text = {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
  out.append(text.data(), text.size());
}

template <class Number>
void write_chars(std::string& out, Number number) {
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  out.append(text.data(), static_cast<std::size_t>(end - text.data()));
}

}  // namespace

void write_string_part(std::string& out, std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const char* copied = at;  // everything before it is written
  const auto copy = [&] { out.append(copied, static_cast<std::size_t>(at - copied)); };
  for (;;) {
    at = skip_plain<true>(at, end);
    if (at == end) break;
    if (static_cast<unsigned char>(*at) >= 0x80) {
      const std::size_t length = utf8_length(at, end);
      if (length > 0) {
        at += length;
        continue;
      }
      copy();
      out += "\xef\xbf\xbd";  // U+FFFD
    } else {
      copy();
      write_escape(out, *at);
    }
    copied = ++at;
  }
  copy();
}

void write_string(std::string& out, std::string_view text) {
  out += '"';
  write_string_part(out, text);
  out += '"';
}

void write_number(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  write_chars(out, value);
}

void JsonWriter::write_signed(std::int64_t number) { write_chars(out_, number); }
void JsonWriter::write_unsigned(std::uint64_t number) { write_chars(out_, number); }

}  // namespace penstock::dialect
