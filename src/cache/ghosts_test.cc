#include "cache/ghosts.h"

#include <gtest/gtest.h>

#include "base/uuid.h"

namespace penstock::cache {
namespace {

std::vector<std::uint64_t> hashes(std::size_t count) {
  Random random(1);
  std::vector<std::uint64_t> made(count);
  for (std::uint64_t& hash : made) hash = random.next();
  return made;
}

TEST(Ghosts, AreTheLastThatWereAdded) {
  Ghosts ghosts;
  const auto all = hashes(10000);
  for (const std::uint64_t hash : all) ghosts.add(hash, 1000);
  for (std::size_t i = 0; i < 9000; ++i) ASSERT_FALSE(ghosts.take(all[i])) << i;
  int taken = 0;
  for (std::size_t i = 9000; i < 10000; ++i) taken += ghosts.take(all[i]) ? 1 : 0;
  EXPECT_GT(taken, 980);  // a full bucket forgets its oldest
}

TEST(Ghosts, AreNoneOnceTheyCameBackUntilTheyAreAddedAgain) {
  Ghosts ghosts;
  EXPECT_FALSE(ghosts.take(1ull << 32));
  ghosts.add(1ull << 32, 64);
  EXPECT_TRUE(ghosts.take(1ull << 32));
  EXPECT_FALSE(ghosts.take(1ull << 32));
  ghosts.add(1ull << 32, 64);
  EXPECT_TRUE(ghosts.take(1ull << 32));
}

TEST(Ghosts, AddedTwiceCountFromTheSecondTime) {
  Ghosts ghosts;
  const auto all = hashes(100);
  for (std::size_t i = 0; i < 60; ++i) ghosts.add(all[i], 64);
  ghosts.add(all[0], 64);
  for (std::size_t i = 60; i < 100; ++i) ghosts.add(all[i], 64);
  EXPECT_FALSE(ghosts.take(all[1]));
  EXPECT_TRUE(ghosts.take(all[0]));
  EXPECT_FALSE(ghosts.take(all[0]));
}

TEST(Ghosts, AreKeptWhenThereMayBeMore) {
  Ghosts ghosts;
  const auto all = hashes(4000);
  for (std::size_t i = 0; i < all.size(); ++i) ghosts.add(all[i], i + 64);
  int taken = 0;
  for (const std::uint64_t hash : all) taken += ghosts.take(hash) ? 1 : 0;
  EXPECT_GT(taken, 3900);
  EXPECT_LE(ghosts.bytes(), 4000u * 32);
}

}  // namespace
}  // namespace penstock::cache
