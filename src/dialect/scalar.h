// The scalars of JSON: numbers as exact decimals, strings as the text they stand for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace penstock::dialect {

// A number as it is written: +-digits x 10^exponent, without zeros at either end of the digits,
// so that equal values are equal. Exact: a request's seed may have more digits than a double.
struct Decimal {
  bool negative = false;       // never of zero
  std::uint32_t digits = 0;    // how many; none is zero
  std::uint64_t mantissa = 0;  // the digits as a number, where there are at most 19
  std::int64_t exponent = 0;

  static constexpr std::uint32_t kFits = 19;

  bool is_zero() const { return digits == 0; }
  bool is_integer() const { return exponent >= 0; }
};

enum class NumberFault : std::uint8_t { none, syntax, range };

// Parses the number at the beginning of [at, end) by RFC 8259's grammar. `range`: a double would
// be infinite. `stop` is behind the last byte read.
struct ParsedNumber {
  Decimal value;
  const char* stop;
  NumberFault fault;
};
ParsedNumber parse_number(const char* at, const char* end);

// Puts the digits of the number, of which there are `value.digits`, to `out`.
// REQUIRES: `text` is what `value` was parsed from.
void copy_digits(std::string_view text, const Decimal& value, char* out);

// The value, where it is an integer in [0, 10^19); false else.
bool to_unsigned(const Decimal& value, std::uint64_t& out);

// The content of a string [at, end), between the quotes, with its escapes resolved: at most as
// many bytes go to `out`. If an escape is none, or names half a character, `bad` is where.
struct Unescaped {
  char* end = nullptr;
  const char* bad = nullptr;
};
Unescaped unescape(const char* at, const char* end, char* out);
// Only looks: the place of the first escape that is bad, or null.
const char* bad_escape(const char* at, const char* end);

}  // namespace penstock::dialect
