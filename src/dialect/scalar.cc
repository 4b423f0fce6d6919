#include "dialect/scalar.h"

#include <array>
#include <charconv>
#include <cstring>

#include "dialect/bytes.h"

namespace penstock::dialect {
namespace {

// An exponent beyond this is out of range whatever the digits, and sums of two stay in 64 bits.
constexpr std::int64_t kMostExponent = 1'000'000'000'000;

// A double's largest value has its first digit at this place before the point.
constexpr std::int64_t kMostPlaces = 309;

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The four digits behind "\u"; -1 if they are none. REQUIRES: at <= end.
int hex4(const char* at, const char* end) {
  if (end - at < 4) return -1;
  int value = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = hex_value(at[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

char* put_utf8(char* out, unsigned code) {
  const auto put = [&](unsigned byte) { *out++ = static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | (code >> 6));
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3f));
    put(0x80 | ((code >> 6) & 0x3f));
    put(0x80 | (code & 0x3f));
  }
  return out;
}

// One escape, `at` on its backslash. Returns what is behind it, null if it is none.
const char* read_escape(const char* at, const char* end, unsigned& code) {
  if (end - at < 2) return nullptr;
  switch (at[1]) {
    case '"':
    case '\\':
    case '/': code = static_cast<unsigned char>(at[1]); return at + 2;
    case 'b': code = '\b'; return at + 2;
    case 'f': code = '\f'; return at + 2;
    case 'n': code = '\n'; return at + 2;
    case 'r': code = '\r'; return at + 2;
    case 't': code = '\t'; return at + 2;
    case 'u': break;
    default: return nullptr;
  }
  const int unit = hex4(at + 2, end);
  if (unit < 0) return nullptr;
  at += 6;
  code = static_cast<unsigned>(unit);
  if (code < 0xd800 || code > 0xdfff) return at;
  // Half of a pair means nothing without the other half.
  if (code > 0xdbff || end - at < 6 || at[0] != '\\' || at[1] != 'u') return nullptr;
  const int low = hex4(at + 2, end);
  if (low < 0xdc00 || low > 0xdfff) return nullptr;
  code = 0x10000 + ((code - 0xd800) << 10) + (static_cast<unsigned>(low) - 0xdc00);
  return at + 6;
}

const char* find_backslash(const char* at, const char* end) {
  if (at == end) return end;  // both may be null: that is no argument for memchr
  const void* found = std::memchr(at, '\\', static_cast<std::size_t>(end - at));
  return found != nullptr ? static_cast<const char*>(found) : end;
}

}  // namespace

ParsedNumber parse_number(const char* at, const char* end) {
  Decimal value;
  std::uint32_t zeros = 0;  // behind the last digit that is not one
  const auto take = [&](char c) {
    if (c == '0') {
      zeros += value.digits > 0 ? 1u : 0u;
      return;
    }
    const std::uint32_t digits = value.digits + zeros + 1;
    if (digits <= Decimal::kFits) {
      for (; zeros > 0; --zeros) value.mantissa *= 10;
      value.mantissa = value.mantissa * 10 + static_cast<std::uint64_t>(c - '0');
    }
    value.digits = digits;
    zeros = 0;
  };
  const auto bad = [&] { return ParsedNumber{value, at, NumberFault::syntax}; };

  const char* const begin = at;
  if (at < end && *at == '-') {
    value.negative = true;
    ++at;
  }
  if (at == end || !is_digit(*at)) return bad();
  if (*at == '0') {
    ++at;
  } else {
    for (; at < end && is_digit(*at); ++at) take(*at);
  }
  std::int64_t fraction = 0;
  if (at < end && *at == '.') {
    const char* const point = ++at;
    for (; at < end && is_digit(*at); ++at) take(*at);
    if (at == point) return bad();
    fraction = at - point;
  }
  std::int64_t exponent = 0;
  if (at < end && (*at == 'e' || *at == 'E')) {
    ++at;
    bool negative = false;
    if (at < end && (*at == '+' || *at == '-')) negative = *at++ == '-';
    if (at == end || !is_digit(*at)) return bad();
    for (; at < end && is_digit(*at); ++at) {
      if (exponent <= kMostExponent) exponent = exponent * 10 + (*at - '0');
    }
    if (negative) exponent = -exponent;
  }

  if (value.digits == 0) return {Decimal{}, at, NumberFault::none};
  if (exponent > kMostExponent || exponent < -kMostExponent) {
    return {value, at, NumberFault::range};
  }
  value.exponent = exponent - fraction + zeros;
  const std::int64_t places = value.exponent + value.digits;
  NumberFault fault = NumberFault::none;
  if (places > kMostPlaces) {
    fault = NumberFault::range;
  } else if (places == kMostPlaces) {
    double unused = 0;
    const auto read = std::from_chars(begin, at, unused);
    if (read.ec != std::errc{}) fault = NumberFault::range;
  }
  return {value, at, fault};
}

void copy_digits(std::string_view text, const Decimal& value, char* out) {
  std::uint32_t copied = 0;
  for (const char c : text) {
    if (!is_digit(c) || (copied == 0 && c == '0')) continue;
    if (copied == value.digits) return;
    out[copied++] = c;
  }
}

bool to_unsigned(const Decimal& value, std::uint64_t& out) {
  if (value.negative || !value.is_integer() || value.exponent > 19) return false;
  if (value.digits > Decimal::kFits) return false;
  std::uint64_t number = value.mantissa;
  for (std::int64_t i = 0; i < value.exponent; ++i) {
    if (__builtin_mul_overflow(number, std::uint64_t{10}, &number)) return false;
  }
  out = number;
  return true;
}

Unescaped unescape(const char* at, const char* end, char* out) {
  for (;;) {
    const char* const escape = find_backslash(at, end);
    const auto length = static_cast<std::size_t>(escape - at);
    if (length > 0) std::memcpy(out, at, length);  // of nothing the address may be null
    out += length;
    if (escape == end) return {out, nullptr};
    unsigned code = 0;
    at = read_escape(escape, end, code);
    if (at == nullptr) return {out, escape};
    out = put_utf8(out, code);
  }
}

const char* bad_escape(const char* at, const char* end) {
  for (;;) {
    const char* const escape = find_backslash(at, end);
    if (escape == end) return nullptr;
    unsigned code = 0;
    at = read_escape(escape, end, code);
    if (at == nullptr) return escape;
  }
}

}  // namespace penstock::dialect
