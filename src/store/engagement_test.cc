#include "store/engagement.h"

#include <gtest/gtest.h>

#include "store/feedback.h"
#include "store/servers_testing.h"

namespace penstock::store {
namespace {

constexpr std::int64_t kDay = 86'400'000'000;
constexpr std::int64_t kToday = 20'784 * kDay;  // 2026-11-27

class People : public OfEachDatabase {
 protected:
  UsageRow row(std::int64_t at, const char* tenant, const char* key, const char* session,
               int status) {
    UsageRow row;
    row.time_us = at;
    row.id = make_uuid7(static_cast<std::uint64_t>(at / 1000), random_);
    row.tenant = tenant;
    row.key = key;
    row.model = "m";
    row.session = session;
    row.status = status;
    row.cache = "miss";
    row.request_id = "r" + std::to_string(at);
    return row;
  }
  void said(const char* id, std::int64_t at, const char* tenant, const char* rating,
            std::string request) {
    const Feedback feedback{id, at, std::move(request), tenant, "k", rating, "it's\n\"so\"", ""};
    const Result<void> added =
        wait(10s, [&](Deadline& d) { return add_feedback(*database_, feedback, d); });
    ASSERT_TRUE(added.ok()) << added.error().detail;
  }
  template <class T>
  static T had(Result<T> result) {
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().detail);
    return result.ok() ? *std::move(result) : T();
  }
  std::vector<Feedback> listed(const FeedbackQuestion& question) {
    return had(wait(10s, [&](Deadline& d) { return list_feedback(*database_, question, d); }));
  }

  Random random_{1};
};

TEST_P(People, AreCountedByDayAndOverAll) {
  UsageRow hits = row(kToday + 3, "acme", "k1", "", 200);
  hits.count = 40;
  hits.request_id.clear();
  const std::vector<UsageRow> rows = {row(kToday - kDay, "acme", "k1", "s1", 200),
                                      row(kToday - 1, "acme", "k1", "s2", 499),
                                      row(kToday, "acme", "k1", "s2", 200),
                                      row(kToday + 1, "acme", "k2", "s3", 499),
                                      row(kToday + 2, "other", "k1", "s3", 200),
                                      hits,
                                      row(kToday + 4, "", "", "", 200),
                                      row(kToday + kDay, "late", "k9", "s9", 200)};
  ASSERT_TRUE(wait(10s, [&](Deadline& d) { return database_->append_usage(rows, d); }).ok());
  said("1", kToday + 5, "acme", "up", "");
  said("2", kToday + 6, "acme", "down", "");
  said("3", kToday + 7, "other", "up", "");

  const auto asked = [&](std::optional<std::string> tenant) {
    const EngagementQuestion question{kToday - kDay, kToday + kDay, std::move(tenant)};
    return had(wait(10s, [&](Deadline& d) { return engagement(*database_, question, d); }));
  };
  const auto sums = asked({});
  ASSERT_EQ(3u, sums.size());
  EXPECT_EQ("", sums[0].day);
  EXPECT_EQ(3u, sums[0].users) << "two of one tenant, and the other's of the same name";
  EXPECT_EQ(4u, sums[0].sessions);
  EXPECT_EQ(46u, sums[0].questions);
  EXPECT_EQ(5u, sums[0].in_sessions);
  EXPECT_EQ(2u, sums[0].abandoned);
  EXPECT_EQ(2u, sums[0].up);
  EXPECT_EQ(1u, sums[0].down);
  EXPECT_EQ("2026-11-26", sums[1].day);
  EXPECT_EQ(1u, sums[1].users);
  EXPECT_EQ(2u, sums[1].sessions);
  EXPECT_EQ(2u, sums[1].questions);
  EXPECT_EQ("2026-11-27", sums[2].day);
  EXPECT_EQ(3u, sums[2].users);
  EXPECT_EQ(44u, sums[2].questions);

  const auto others = asked("other");
  EXPECT_EQ(1u, others[0].users);
  EXPECT_EQ(1u, others[0].up);
  EXPECT_EQ(1u, asked("nobody").size());
  EXPECT_EQ(0u, asked("nobody")[0].questions);
}

TEST_P(People, AreHeard) {
  const std::vector<UsageRow> rows = {row(kToday, "acme", "k1", "", 200)};
  ASSERT_TRUE(wait(10s, [&](Deadline& d) { return database_->append_usage(rows, d); }).ok());
  const std::string request = "r" + std::to_string(kToday);
  said("a", kToday + 5, "acme", "up", request);
  said("b", kToday + 5, "other", "down", request);
  said("c", kToday + 6, "acme", "down", "'; DROP TABLE feedback; --");
  said("c", kToday + 6, "acme", "down", "given again after an answer was lost");

  FeedbackQuestion question{kToday, kToday + kDay, {}, {}, {}, 2, -1, ""};
  auto page = listed(question);
  ASSERT_EQ(2u, page.size());
  EXPECT_EQ("a", page[0].id);
  EXPECT_EQ("m", page[0].model) << "of the request";
  EXPECT_EQ("it's\n\"so\"", page[0].comment);
  EXPECT_EQ("b", page[1].id);
  EXPECT_EQ("", page[1].model) << "a request of another tenant tells nothing";
  question.after_us = page[1].time_us;
  question.after_id = page[1].id;
  page = listed(question);
  ASSERT_EQ(1u, page.size());
  EXPECT_EQ("'; DROP TABLE feedback; --", page[0].request_id);
  question = {kToday, kToday + kDay, "acme", "down", {}, 10, -1, ""};
  EXPECT_EQ(1u, listed(question).size());
  question = {kToday, kToday + 5, {}, {}, {}, 10, -1, ""};
  EXPECT_TRUE(listed(question).empty());
}

INSTANTIATE_TEST_SUITE_P(In, People, each_database(), name_of_database);

}  // namespace
}  // namespace penstock::store
