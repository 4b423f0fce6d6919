#include "base/hex.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string_view>

namespace penstock {
namespace {

TEST(Hex, IsWhatFmtWrites) {
  std::array<char, 16> digits;
  for (std::uint64_t value = 1; value != 0; value <<= 1) {
    for (const std::uint64_t one : {value, ~value, value * 0x0123456789abcdef, value - 1}) {
      EXPECT_EQ(write_hex(one, digits.data()), digits.data() + 16);
      EXPECT_EQ(std::string_view(digits.data(), 16), fmt::format("{:016x}", one));
    }
  }
}

TEST(Hex, HasEachDigit) {
  std::array<char, 8> digits;
  write_hex(std::uint32_t{0x01234567}, digits.data());
  EXPECT_EQ(std::string_view(digits.data(), 8), "01234567");
  write_hex(std::uint32_t{0x89abcdef}, digits.data());
  EXPECT_EQ(std::string_view(digits.data(), 8), "89abcdef");
}

}  // namespace
}  // namespace penstock
