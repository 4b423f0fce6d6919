// The canonical form of JSON values: a prefix code, so that different values are different bytes.
//
//   null 'n'   true 't'   false 'f'   zero '0'
//   string   's' length bytes                      unescaped
//   number   '+' or '-', exponent, mantissa        up to 19 digits
//            'P' or 'M', exponent, length, digits  more digits
//   array    '[' value* ']'
//   object   '{' (string value)* '}'               shorter names first, then by their bytes
//
// Lengths, exponents (zigzag) and mantissas are LEB128. Where a value begins its tag says what it
// is, and its length where it ends: no value's bytes begin another's.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "base/buffer.h"
#include "dialect/scalar.h"

namespace penstock::dialect {

struct Member;

// Makes room for `size` bytes; what was there is gone.
inline void grow(Buffer& buffer, std::size_t size) {
  if (buffer.capacity() >= size) return;
  buffer = Buffer();  // first: the two need not be there together
  buffer = Buffer(size + size / 4);
}

// Writes canonical values one behind the other into memory that is large enough.
class CanonicalWriter {
 public:
  // A text of n bytes comes to no more than this.
  static constexpr std::size_t bound(std::size_t n) { return 2 * n + 128; }

  explicit CanonicalWriter(char* out) : begin_(out), out_(out) {}

  std::uint32_t size() const { return static_cast<std::uint32_t>(out_ - begin_); }
  char* begin() const { return begin_; }

  void tag(char c) { *out_++ = c; }

  // REQUIRES: 32 bytes at `text` are readable.
  void string(const char* text, std::size_t length) {
    char* out = out_;  // a byte written could be a part of *this, for all the compiler knows
    *out++ = 's';
    out = put(out, length);
    if (length <= 32) {  // cheaper than to branch on the length
      std::memcpy(out, text, 32);
    } else {
      std::memcpy(out, text, length);
    }
    out_ = out + length;
  }

  // The same of a string still escaped; the place of a bad escape, or null.
  const char* escaped_string(const char* at, const char* end) {
    tag('s');
    // Room for the length that it has at most; mostly that is as wide as the one it has.
    const std::size_t room = width(static_cast<std::size_t>(end - at));
    char* const text = out_ + room;
    const Unescaped done = unescape(at, end, text);
    if (done.bad != nullptr) return done.bad;
    const auto length = static_cast<std::size_t>(done.end - text);
    char* const place = put(out_, length);
    if (place != text) std::memmove(place, text, length);
    out_ = place + length;
    return nullptr;
  }

  void number(std::string_view text, const Decimal& value) {
    if (value.is_zero()) {
      tag('0');
      return;
    }
    char* out = out_;
    const bool fits = value.digits <= Decimal::kFits;
    *out++ = value.negative ? (fits ? '-' : 'M') : (fits ? '+' : 'P');
    out = put(out, (static_cast<std::uint64_t>(value.exponent) << 1) ^
                       static_cast<std::uint64_t>(value.exponent >> 63));
    if (fits) {
      out_ = put(out, value.mantissa);
      return;
    }
    out = put(out, value.digits);
    copy_digits(text, value, out);
    out_ = out + value.digits;
  }

  // Puts the members of an object, whose bytes are the last written and begin at `place`, into
  // this order. `spare` is used meanwhile.
  void rearrange(std::span<const Member* const> order, std::uint32_t place, Buffer& spare);

 private:
  static std::size_t width(std::uint64_t number) {
    return (static_cast<std::size_t>(std::bit_width(number | 1)) + 6) / 7;
  }
  static char* put(char* out, std::uint64_t number) {
    for (; number >= 0x80; number >>= 7) *out++ = static_cast<char>(number | 0x80);
    *out++ = static_cast<char>(number);
    return out;
  }

  char* begin_;
  char* out_;
};

// One member of an object under way: its name, in the order of the canonical form, and where its
// bytes are in what was written so far.
struct Member {
  const char* name;
  std::uint32_t length;
  std::uint32_t at;      // of the name, in the body
  std::uint64_t prefix;  // the name's first 8 bytes as a number, big-endian, zeros behind
  std::uint32_t begin;
  std::uint32_t end;
  bool left_out;

  std::string_view text() const { return {name, length}; }
  // Whether it is the name of four bytes that make this number, big-endian.
  bool is(std::uint32_t word) const { return length == 4 && prefix == std::uint64_t{word} << 32; }
};

// REQUIRES: 8 bytes at `name` are readable.
inline std::uint64_t prefix_of(const char* name, std::size_t length) {
  std::uint64_t word;
  std::memcpy(&word, name, sizeof word);
  if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap64(word);
  if (length >= 8) return word;
  return length == 0 ? 0 : word >> (8 * (8 - length)) << (8 * (8 - length));
}

// Negative, zero or positive: shorter names first, then by their bytes.
inline int compare(const Member& a, const Member& b) {
  if (a.length != b.length) return a.length < b.length ? -1 : 1;
  if (a.prefix != b.prefix) return a.prefix < b.prefix ? -1 : 1;
  return a.length <= 8 ? 0 : std::memcmp(a.name + 8, b.name + 8, a.length - 8);
}

// Points `order` to that many members beginning at `first`, in canonical order. Equal names are
// neighbours then: the member whose name was there before is returned, or null.
const Member* sort_members(const Member* first, std::span<const Member*> order);

}  // namespace penstock::dialect
