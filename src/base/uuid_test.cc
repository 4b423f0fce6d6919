#include "base/uuid.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace penstock {
namespace {

TEST(Uuid, HasTheTimeTheVersionAndTheVariantInTheirPlaces) {
  Random random(7);
  const Uuid uuid = make_uuid7(0x019ab3c47d10, random);
  const std::string_view shown = text(uuid);
  EXPECT_EQ(shown.substr(0, 15), "019ab3c4-7d10-7");
  EXPECT_EQ(shown[8], '-');
  EXPECT_EQ(shown[23], '-');
  EXPECT_NE(std::string_view("89ab").find(shown[19]), std::string_view::npos);
  EXPECT_EQ(shown.find_first_not_of("0123456789abcdef-"), std::string_view::npos);
}

TEST(Uuid, DiffersWithinTheSameMillisecond) {
  Random random;
  std::set<std::string> seen;
  for (int i = 0; i < 10000; ++i) seen.emplace(text(make_uuid7(1, random)));
  EXPECT_EQ(seen.size(), 10000u);
}

}  // namespace
}  // namespace penstock
