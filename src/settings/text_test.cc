#include "settings/text.h"

#include <gtest/gtest.h>

#include <array>

namespace penstock::settings {
namespace {

TEST(Text, FindsTheFirstByteThatIsNoUtf8) {
  EXPECT_EQ(first_bad_byte("a: \"ä€😀\"\r\n\tb"), std::nullopt);
  EXPECT_EQ(first_bad_byte(std::string_view("ab\0", 3)), 2u);
  EXPECT_EQ(first_bad_byte("\x1b[0m"), 0u);
  EXPECT_EQ(first_bad_byte("x\xff"), 1u);
  EXPECT_EQ(first_bad_byte("x\xc0\x80"), 1u);          // overlong
  EXPECT_EQ(first_bad_byte("x\xe0\x80\x80"), 1u);      // overlong
  EXPECT_EQ(first_bad_byte("x\xed\xa0\x80"), 1u);      // a surrogate
  EXPECT_EQ(first_bad_byte("x\xf4\x90\x80\x80"), 1u);  // beyond U+10FFFF
  EXPECT_EQ(first_bad_byte("x\xe2\x82"), 1u);          // cut off
}

TEST(Text, CountsCharactersNotBytes) {
  EXPECT_EQ(characters("aä€😀"), 4u);
  EXPECT_EQ(characters("\xff\xff"), 2u);
}

TEST(Text, QuotesAsJson) {
  EXPECT_EQ(quote("a\"b\\c\n\t\x01\x7f ä"), "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f ä\"");
}

TEST(Text, ShowsALongTextCutBetweenCharacters) {
  std::string text(59, 'a');
  text.append("ä and more");
  EXPECT_EQ(shown(text).size(), 64u);
  EXPECT_TRUE(shown(text).ends_with("aaa...\""));
}

TEST(Text, FindsTheWordThatWasProbablyMeant) {
  constexpr std::array<std::string_view, 4> kWords = {"address", "limits", "cors", "workers"};
  EXPECT_EQ(nearest("adress", kWords), "address");
  EXPECT_EQ(nearest("limtis", kWords), "limits");  // a swap is one mistake
  EXPECT_EQ(nearest("Address", kWords), "address");
  EXPECT_EQ(nearest("core", kWords), "cors");
  EXPECT_EQ(nearest("telemetry", kWords), std::nullopt);
  EXPECT_EQ(nearest("", kWords), std::nullopt);
  EXPECT_EQ(nearest(std::string(10'000, 'a'), kWords), std::nullopt);
}

TEST(Text, ListsAlternatives) {
  constexpr std::array<std::string_view, 3> kWords = {"a", "b", "c"};
  EXPECT_EQ(either(kWords), "a, b or c");
  EXPECT_EQ(either(std::span(kWords).first(2)), "a or b");
  EXPECT_EQ(either(std::span(kWords).first(1)), "a");
}

}  // namespace
}  // namespace penstock::settings
