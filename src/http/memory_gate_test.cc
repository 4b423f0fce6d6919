#include "http/memory_gate.h"

#include <gtest/gtest.h>

namespace penstock::http {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

TEST(MemoryGate, WithoutALimitEverythingFits) {
  MemoryGate gate;
  gate.look([] { return 1000 * kMiB; });
  EXPECT_EQ(gate.level(), MemoryGate::Level::free);
  EXPECT_TRUE(gate.take(1000 * kMiB));
  EXPECT_EQ(gate.excess(), 0u);
}

TEST(MemoryGate, SaysHowNearTheLimitIs) {
  MemoryGate gate;
  gate.set_limit(100 * kMiB);
  const auto at = [&](std::uint64_t mib) {
    gate.look([&] { return mib * kMiB; });
    return gate.level();
  };
  EXPECT_EQ(at(79), MemoryGate::Level::free);
  EXPECT_EQ(at(81), MemoryGate::Level::shrink);
  EXPECT_EQ(gate.excess(), kMiB);
  EXPECT_EQ(at(93), MemoryGate::Level::close);
  EXPECT_EQ(at(96), MemoryGate::Level::refuse);
}

TEST(MemoryGate, CountsWhatIsAnnouncedWithWhatIsThere) {
  MemoryGate gate;
  gate.set_limit(100 * kMiB);
  gate.look([] { return 49 * kMiB; });
  EXPECT_TRUE(gate.take(20 * kMiB));
  EXPECT_TRUE(gate.take(20 * kMiB));
  EXPECT_FALSE(gate.take(20 * kMiB));
  gate.give(20 * kMiB);
  EXPECT_TRUE(gate.take(20 * kMiB));
  EXPECT_EQ(gate.promised(), 40 * kMiB);
  // One has come, and nobody has looked at what there is since.
  gate.come(20 * kMiB);
  EXPECT_FALSE(gate.take(20 * kMiB));
  gate.look([] { return 59 * kMiB; });
  EXPECT_FALSE(gate.take(20 * kMiB));
  EXPECT_TRUE(gate.take(10 * kMiB));
}

TEST(MemoryGate, BodiesDoNotReachWhereQuestionsAreRefused) {
  MemoryGate gate;
  gate.set_limit(100 * kMiB);
  gate.look([] { return 10 * kMiB; });
  std::uint64_t bodies = 0;
  while (gate.take(kMiB)) bodies += kMiB;
  gate.look([&] { return 10 * kMiB + bodies; });
  EXPECT_LT(gate.level(), MemoryGate::Level::close);
  EXPECT_GE(bodies, 75 * kMiB);
}

}  // namespace
}  // namespace penstock::http
