// Hexadecimal digits, many at once.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace penstock {

// Writes eight digits in lower case; behind them. Each half byte is spread to a byte of its own,
// and all eight become digits by the same arithmetic: a request has a hundred of them.
inline char* write_hex(std::uint32_t value, char* to) {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t spread = value;
  spread = (spread << 16 | spread) & 0x0000ffff0000ffff;
  spread = (spread << 8 | spread) & 0x00ff00ff00ff00ff;
  spread = (spread << 4 | spread) & 0x0f0f0f0f0f0f0f0f;
  const std::uint64_t letters = (spread + 0x0606060606060606) >> 4 & 0x0101010101010101;
  const std::uint64_t digits = spread + 0x3030303030303030 + letters * ('a' - '0' - 10);
  const std::uint64_t first_to_last = __builtin_bswap64(digits);
  std::memcpy(to, &first_to_last, sizeof first_to_last);
  return to + sizeof first_to_last;
}

// Sixteen digits.
inline char* write_hex(std::uint64_t value, char* to) {
  to = write_hex(static_cast<std::uint32_t>(value >> 32), to);
  return write_hex(static_cast<std::uint32_t>(value), to);
}

}  // namespace penstock
