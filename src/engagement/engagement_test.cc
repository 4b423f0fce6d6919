#include "engagement/engagement.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "base/uuid.h"

namespace penstock::engagement {
namespace {

const WallTime kNow{std::chrono::seconds(1'796'000'010)};

TEST(SessionTable, KnowsEqualQuestionsOfASessionFromOthers) {
  std::vector<std::uint64_t> ended;
  Sessions sessions({1000, 30min}, [&](std::uint64_t count) { ended.push_back(count); });
  EXPECT_TRUE(sessions.asked(1, 10, kNow).began);
  EXPECT_FALSE(sessions.asked(1, 11, kNow + 1min).repeated);
  EXPECT_TRUE(sessions.asked(1, 10, kNow + 2min).repeated);
  EXPECT_FALSE(sessions.asked(2, 10, kNow + 2min).repeated) << "another session";
  EXPECT_FALSE(sessions.asked(2, 0, kNow + 2min).repeated);
  EXPECT_FALSE(sessions.asked(2, 0, kNow + 2min).repeated) << "unknown questions are not equal";
  EXPECT_TRUE(ended.empty());
  const Sessions::Seen later = sessions.asked(1, 10, kNow + 33min);
  EXPECT_TRUE(later.began);
  EXPECT_FALSE(later.repeated);
  sessions.sweep(kNow + 2h);
  EXPECT_EQ((std::vector<std::uint64_t>{3, 3, 1}),
            (std::sort(ended.begin(), ended.end(), std::greater<>()), ended));
  EXPECT_EQ(0u, sessions.open());
}

TEST(SessionTable, IsBoundedAndEndsTheQuietestFirst) {
  std::uint64_t ended = 0;
  Sessions sessions({160, 30min}, [&](std::uint64_t) { ++ended; });
  for (std::uint64_t id = 1; id <= 5000; ++id) {
    sessions.asked(id, 1, kNow + std::chrono::milliseconds(id));
    EXPECT_FALSE(sessions.asked(id, 2, kNow + std::chrono::milliseconds(id)).began);
    ASSERT_LE(sessions.open(), 160u);
  }
  EXPECT_EQ(5000u - sessions.open(), ended);
}

// Against a table that is as simple as can be.
TEST(SessionTable, DoesWhatASimpleOneDoes) {
  struct Plain {
    WallTime last{};
    std::uint64_t questions = 0;
  };
  std::map<std::uint64_t, Plain> plain;
  std::map<std::uint64_t, int> expected_ends;
  std::map<std::uint64_t, int> ends;
  Sessions sessions({100'000, 30min}, [&](std::uint64_t count) { ++ends[count]; });
  Random random(5);
  WallTime now = kNow;
  for (int i = 0; i < 100'000; ++i) {
    now += std::chrono::milliseconds(random.next() % 4000);
    const std::uint64_t id = 1 + random.next() % 700;
    Plain& one = plain[id];
    bool began = one.questions == 0;
    if (!began && now - one.last > 30min) {
      ++expected_ends[one.questions];
      one.questions = 0;
      began = true;
    }
    one.last = now;
    ++one.questions;
    ASSERT_EQ(began, sessions.asked(id, 0, now).began) << i;
  }
  sessions.sweep(now + 1h);
  for (const auto& [id, one] : plain) ++expected_ends[one.questions];
  EXPECT_EQ(expected_ends, ends);
}

TEST(Engagements, AreCounted) {
  observe::Registry registry(2);
  Engagement engagement({}, registry);
  const auto now = std::chrono::system_clock::now();
  const std::uint64_t anna = hash_of("acme", "anna");
  EXPECT_NE(anna, hash_of("other", "anna"));
  engagement.asked({anna, 0, 5, now});
  engagement.asked({anna, 0, 5, now});
  engagement.asked({anna, 77, 5, now});  // in a session of its own
  engagement.asked({hash_of("acme", "ben"), 77, 6, now});
  engagement.asked({0, 0, 5, now});
  engagement.abandoned();
  engagement.rated(*parse_rating("up"));
  engagement.rated(*parse_rating("down"));
  engagement.rated(Rating::up);
  EXPECT_FALSE(parse_rating("UP"));
  const auto sum = [&](const char* name, const observe::Labels& labels = {}) {
    return registry.sum(std::string("penstock_engagement_") + name, labels);
  };
  EXPECT_EQ(2, sum("active_users", {{"window", "5m"}}));
  EXPECT_EQ(2, sum("active_users", {{"window", "1d"}}));
  EXPECT_EQ(2, sum("sessions_total"));
  EXPECT_EQ(1, sum("repeat_questions_total"));
  EXPECT_EQ(1, sum("abandoned_total"));
  EXPECT_EQ(2, sum("feedback_total", {{"rating", "up"}}));
  engagement.sweep(now + 31min);
  std::string shown;
  registry.render(shown, observe::Format::text);
  EXPECT_NE(std::string::npos, shown.find("penstock_engagement_questions_per_session_count 2"));
  EXPECT_NE(std::string::npos, shown.find("penstock_engagement_questions_per_session_sum 4"));
}

TEST(Engagements, AreCountedFromSeveralThreads) {
  observe::Registry registry(1);
  Options options;
  options.sessions.most = 320;
  Engagement engagement(options, registry);
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 5000; ++i) {
        engagement.asked({t * 5000 + i + 1, 0, i, kNow});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  engagement.sweep(kNow + 1h);
  EXPECT_EQ(20'000u, engagement.sessions());
  std::string shown;
  registry.render(shown, observe::Format::text);
  EXPECT_NE(std::string::npos, shown.find("penstock_engagement_questions_per_session_count 20000"));
}

}  // namespace
}  // namespace penstock::engagement
