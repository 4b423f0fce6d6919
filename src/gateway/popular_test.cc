#include "gateway/popular.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

namespace penstock::gateway {
namespace {

cache::Key key_of(std::uint32_t number) {
  cache::Key key{};
  std::memcpy(key.data(), &number, sizeof number);
  return key;
}

void count(Popular& popular, std::uint32_t number, std::uint64_t times,
           std::string_view body = "{}") {
  const std::vector<std::string> tags = {"a", "b"};
  const cache::Key key = key_of(number);
  popular.count({key, "/v1/chat/completions", body, "acme", "t:acme", tags}, times);
}

TEST(PopularTest, TellsWhatWasAskedMostAndHowOftenSinceThen) {
  Popular popular(2);
  EXPECT_TRUE(popular.take().empty());
  count(popular, 1, 1);
  count(popular, 2, 3);
  count(popular, 3, 1);
  count(popular, 3, 1);
  std::vector<store::PopularQuestion> taken = popular.take();
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_EQ(taken[0].key, cache::hex(key_of(2)));
  EXPECT_EQ(taken[0].asked, 3);
  EXPECT_EQ(taken[0].tags, "a,b");
  EXPECT_EQ(taken[0].tenant, "acme");
  EXPECT_EQ(taken[0].scope, "t:acme");
  EXPECT_EQ(taken[1].key, cache::hex(key_of(3)));
  EXPECT_EQ(popular.take().size(), 1U);  // the third, while the others were not asked again
  EXPECT_TRUE(popular.take().empty());
  count(popular, 3, 7);
  taken = popular.take();
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].asked, 7);
}

TEST(PopularTest, TellsAgainWhatWasGivenBack) {
  Popular popular(5);
  count(popular, 1, 4);
  count(popular, 2, 2);
  const auto taken = popular.take();
  count(popular, 1, 1);
  popular.give_back(taken);
  const auto again = popular.take();
  ASSERT_EQ(again.size(), 2U);
  EXPECT_EQ(again[0].asked, 5);
  EXPECT_EQ(again[1].asked, 2);
}

TEST(PopularTest, KeepsWhatIsAskedOftenWhereThereIsNoRoom) {
  Popular popular(10);
  for (std::uint32_t i = 0; i < 10; ++i) count(popular, i, 100);
  for (std::uint32_t i = 10; i < 20'000; ++i) count(popular, i, 1);
  const auto taken = popular.take();
  ASSERT_EQ(taken.size(), 10U);
  for (const auto& one : taken) EXPECT_EQ(one.asked, 100) << one.key;
}

TEST(PopularTest, HasABoundInBytes) {
  Popular popular(100'000);
  const std::string large(Popular::kMostBody, 'x');
  count(popular, 0, 1, large + "x");
  EXPECT_TRUE(popular.take().empty());
  for (std::uint32_t i = 0; i < 2000; ++i) count(popular, i, 1, large);
  std::size_t bytes = 0;
  for (const auto& one : popular.take()) bytes += one.body.size();
  EXPECT_LE(bytes, Popular::kMostBytes);
  EXPECT_GT(bytes, Popular::kMostBytes / 2);
}

TEST(PopularTest, MayBeCountedByMany) {
  Popular popular(100);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::uint32_t i = 0; i < 10'000; ++i) count(popular, i % 100, 1);
    });
  }
  std::int64_t asked = 0;
  for (std::thread& thread : threads) {
    for (const auto& one : popular.take()) asked += one.asked;
    thread.join();
  }
  for (const auto& one : popular.take()) asked += one.asked;
  // Who finds it taken goes on without counting.
  EXPECT_LE(asked, 40'000);
  EXPECT_GT(asked, 1'000);
}

TEST(PopularTest, OfManyOneInSixteenCountsForAll) {
  Popular::Pace pace;
  std::uint64_t sum = 0, calls = 0;
  const Time now{1h};
  for (int i = 0; i < 17'000; ++i) {
    const std::uint32_t weight = pace.weight(now);
    sum += weight;
    calls += weight > 0 ? 1 : 0;
  }
  EXPECT_EQ(sum, 17'000U);
  EXPECT_EQ(calls, 2'000U);
  EXPECT_EQ(pace.weight(now + 1s), 1U);
}

}  // namespace
}  // namespace penstock::gateway
