#include "store/popular.h"

#include <gtest/gtest.h>

#include "store/servers_testing.h"

namespace penstock::store {
namespace {

constexpr std::int64_t kDay = 86'400'000'000;
constexpr std::int64_t kNow = 20'784 * kDay;  // 2026-11-27

class PopularQuestions : public OfEachDatabase {
 protected:
  void add(std::vector<PopularQuestion> questions, std::int64_t now = kNow) {
    const Result<void> added = wait(10s, [&](Deadline& deadline) {
      return add_popular(*database_, std::move(questions), now, deadline);
    });
    ASSERT_TRUE(added.ok()) << added.error().detail;
  }
  void forget(std::int64_t now, std::int64_t keep) {
    const Result<void> done = wait(
        10s, [&](Deadline& deadline) { return forget_unpopular(*database_, now, keep, deadline); });
    ASSERT_TRUE(done.ok()) << done.error().detail;
  }
  std::vector<PopularQuestion> list(std::int64_t most = 100, std::int64_t behind = 0) {
    Result<std::vector<PopularQuestion>> had = wait(
        10s, [&](Deadline& deadline) { return list_popular(*database_, most, behind, deadline); });
    EXPECT_TRUE(had.ok());
    return had ? *std::move(had) : std::vector<PopularQuestion>();
  }
  // "a 3 b 2"
  std::string order(std::int64_t most = 100) {
    std::string text;
    for (const PopularQuestion& one : list(most)) {
      text += (text.empty() ? "" : " ") + one.key + " " + std::to_string(one.asked);
    }
    return text;
  }
  static PopularQuestion question(std::string key, std::int64_t asked) {
    return {std::move(key), "/v1/embeddings", R"({"input":"ä \"'"})", "acme", "t:acme", "a,b",
            asked};
  }
};

TEST_P(PopularQuestions, AreAddedUpAndListedByHowOftenTheyWereAsked) {
  add({});
  add({question("a", 1), question("b", 5), question("c", 2)});
  add({question("a", 9)});
  EXPECT_EQ(order(), "a 10 b 5 c 2");
  EXPECT_EQ(order(2), "a 10 b 5");
  EXPECT_EQ(list(1, 1).at(0).key, "b");
  EXPECT_TRUE(list(1, 3).empty());
  const PopularQuestion one = list(1).at(0);
  EXPECT_EQ(one.path, "/v1/embeddings");
  EXPECT_EQ(one.body, R"({"input":"ä \"'"})");
  EXPECT_EQ(one.tenant, "acme");
  EXPECT_EQ(one.scope, "t:acme");
  EXPECT_EQ(one.tags, "a,b");
}

TEST_P(PopularQuestions, CountHalfBehindADayWithoutThem) {
  add({question("a", 10), question("b", 10)});
  add({question("a", 1)}, kNow + kDay);
  add({question("b", 1)}, kNow + kDay + 1);
  EXPECT_EQ(order(), "a 11 b 6");
}

TEST_P(PopularQuestions, AreForgottenWhenTheyAreOldOrRare) {
  add({question("a", 10), question("b", 9), question("c", 8), question("d", 7)});
  forget(kNow, 100);
  EXPECT_EQ(order(), "a 10 b 9 c 8 d 7");
  forget(kNow, 1);
  EXPECT_EQ(order(), "a 10 b 9");
  add({question("b", 1)}, kNow + 6 * kDay);
  forget(kNow + 8 * kDay, 100);
  EXPECT_EQ(order(), "b 5");
}

INSTANTIATE_TEST_SUITE_P(Both, PopularQuestions, each_database(), name_of_database);

}  // namespace
}  // namespace penstock::store
