#include "store/text.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace penstock::store {
namespace {

// How many bytes from `at` on are one character; 0: none is.
std::size_t character(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
  };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const std::uint8_t first = byte(at);
  if (first == 0) return 0;
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  const std::uint8_t second = byte(at + 1);
  if (first < 0xE0) return follows(at + 1) ? 2 : 0;
  if (first < 0xF0) {
    if (first == 0xE0 && second < 0xA0) return 0;   // too long
    if (first == 0xED && second >= 0xA0) return 0;  // half of a surrogate pair
    return follows(at + 1) && follows(at + 2) ? 3 : 0;
  }
  if (first > 0xF4) return 0;
  if (first == 0xF0 && second < 0x90) return 0;
  if (first == 0xF4 && second >= 0x90) return 0;
  return follows(at + 1) && follows(at + 2) && follows(at + 3) ? 4 : 0;
}

constexpr std::size_t kAtOnce = sizeof(std::uint64_t);

// Whether the next bytes are ASCII and none is NUL, as most are.
bool plain(std::string_view text, std::size_t at) {
  if (text.size() - at < kAtOnce) return false;
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHigh = 0x8080808080808080;
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, text.data() + at, kAtOnce);
  return ((bytes | (bytes - kOnes)) & kHigh) == 0;  // a NUL borrows
}

}  // namespace

bool storable(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    if (plain(text, at)) {
      at += kAtOnce;
      continue;
    }
    const std::size_t length = character(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::string made_storable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = character(text, at);
    if (length == 0) {
      out += "\xEF\xBF\xBD";
      ++at;
    } else {
      out += text.substr(at, length);
      at += length;
    }
  }
  return out;
}

}  // namespace penstock::store
