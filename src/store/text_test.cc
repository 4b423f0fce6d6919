#include "store/text.h"

#include <gtest/gtest.h>

namespace penstock::store {
namespace {

TEST(Storable, KnowsWhatNoDatabaseTakesWhereverItStands) {
  for (const std::string_view bad :
       {std::string_view("\0", 1), std::string_view("\xff"), std::string_view("\xed\xa0\x80"),
        std::string_view("\xc0\x80"), std::string_view("\xf4\x90\x80\x80"),
        std::string_view("\xe2\x82")}) {
    for (std::size_t at = 0; at <= 20; ++at) {
      std::string text(20, 'a');
      text.insert(at, bad);
      EXPECT_FALSE(storable(text)) << at;
      EXPECT_TRUE(storable(made_storable(text))) << at;
    }
  }
}

TEST(Storable, IsAllThatIsUtf8) {
  for (const std::string_view good :
       {"", "a", "\x01", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\uffff", "\U0010ffff"}) {
    for (std::size_t at = 0; at <= 20; ++at) {
      std::string text(20, 'a');
      text.insert(at, good);
      EXPECT_TRUE(storable(text)) << at;
      EXPECT_EQ(made_storable(text), text);
    }
  }
}

}  // namespace
}  // namespace penstock::store
