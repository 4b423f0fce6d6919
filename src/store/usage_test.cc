#include "store/usage.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "store/keeper.h"
#include "store/servers_testing.h"

namespace penstock::store {
namespace {

constexpr std::int64_t kHour = 3'600'000'000;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kStart = 20'500 * kDay;  // 2026-02-16
constexpr Statement kLeft = {"test_left", "SELECT count(*) FROM usage", {}, true};
constexpr Statement kDays = {
    "test_days", "SELECT coalesce(sum(count), 0) FROM usage_days", {}, true};

class UsageSumsOver : public testing::TestWithParam<std::string_view> {
 protected:
  UsageSumsOver() {
    Options options;
    if (GetParam() == "sqlite") {
      folder_ = temporary_folder("sqlite");
      options.url = "sqlite:" + folder_ + "/a.db";
    } else {
      name_ = Servers::get().fresh_database();
      options.url = Servers::get().primary->url(name_);
    }
    options.acquire_timeout = 5s;
    database_ = house_.open(options);
    must_migrate(*database_);
  }
  ~UsageSumsOver() override {
    database_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  // A row each ten minutes for so many days.
  void fill(int days) {
    std::vector<UsageRow> rows;
    for (std::int64_t i = 0; i < days * 144; ++i) {
      rows.push_back(usage_row(kStart + i * kHour / 6, static_cast<std::uint64_t>(i)));
    }
    Result<void> done = wait(20s, [&](Deadline& d) { return database_->append_usage(rows, d); });
    ASSERT_TRUE(done.ok()) << done.error().detail;
  }
  UsageReport ask(const UsageQuestion& question) {
    Result<UsageReport> report =
        wait(20s, [&](Deadline& d) { return usage(*database_, question, d); });
    EXPECT_TRUE(report.ok()) << (report ? "" : report.error().detail);
    return report ? *std::move(report) : UsageReport{};
  }
  std::uint64_t tidy(std::int64_t now, Duration keep) {
    Result<std::uint64_t> done =
        wait(20s, [&](Deadline& d) { return tidy_usage(*database_, now, keep, d); });
    EXPECT_TRUE(done.ok()) << (done ? "" : done.error().detail);
    return done ? *done : 0;
  }
  std::int64_t number(const Statement& statement) {
    const Rows rows =
        must(wait(10s, [&](Deadline& d) { return database_->read(statement, {}, {}, d); }));
    return std::get<std::int64_t>(rows.rows[0][0]);
  }
  static UsageQuestion all(std::vector<UsageColumn> by, int days) {
    UsageQuestion question;
    question.from_us = kStart;
    question.to_us = kStart + days * kDay;
    question.by = std::move(by);
    return question;
  }

  std::string folder_;
  std::string name_;
  House house_;
  std::unique_ptr<Database> database_;
};

TEST_P(UsageSumsOver, AnyColumnsAndAnyTime) {
  fill(3);
  UsageReport report = ask(all({}, 3));
  ASSERT_EQ(1u, report.groups.size());
  EXPECT_EQ(432u, report.groups.at(0).count);
  EXPECT_EQ(22u, report.groups.at(0).errors);
  // Of four rows one is a hit: its tokens were saved.
  EXPECT_EQ(32'400u, report.groups.at(0).tokens.input);
  EXPECT_EQ(108u, report.groups.at(0).hits);
  EXPECT_GT(report.groups.at(0).saved, 10'800u);
  EXPECT_EQ(432'000, report.groups.at(0).cost);
  EXPECT_DOUBLE_EQ(1500.0, report.groups.at(0).engine_us);
  EXPECT_DOUBLE_EQ(900.0, report.groups.at(0).first_token_us.value_or(0));

  report = ask(all({UsageColumn::day, UsageColumn::model}, 3));
  ASSERT_EQ(15u, report.groups.size());
  EXPECT_EQ((std::vector<std::string>{"2026-02-16", "model-0"}), report.groups.at(0).group);
  EXPECT_EQ(29u, report.groups.at(0).count);
  EXPECT_EQ("2026-02-18", report.groups[14].group[0]);

  report = ask(all({UsageColumn::month}, 3));
  ASSERT_EQ(1u, report.groups.size());
  EXPECT_EQ("2026-02", report.groups.at(0).group[0]);

  report = ask(all({UsageColumn::status, UsageColumn::cache, UsageColumn::hour}, 1));
  EXPECT_EQ((std::vector<std::string>{"200", "memory", "2026-02-16T00"}),
            report.groups.at(0).group);

  UsageQuestion question = all({UsageColumn::key}, 3);
  question.tenant = "tenant-7";
  report = ask(question);
  EXPECT_EQ(9u, report.groups.size());
  question.key = "key_107";
  question.status = 200;
  report = ask(question);
  ASSERT_EQ(1u, report.groups.size());
  EXPECT_EQ("key_107", report.groups.at(0).group[0]);
  question.from_us = kStart + kDay;
  EXPECT_TRUE(ask(question).groups.empty());
  question = all({UsageColumn::engine, UsageColumn::route}, 3);
  question.model = "model-1";
  question.engine = "engine-1";
  report = ask(question);
  ASSERT_EQ(1u, report.groups.size());
  EXPECT_EQ((std::vector<std::string>{"engine-1", "chat"}), report.groups.at(0).group);
}

TEST_P(UsageSumsOver, PagesThatTogetherAreAll) {
  fill(3);
  UsageQuestion question = all({UsageColumn::tenant, UsageColumn::status}, 3);
  question.percentiles = true;
  const UsageReport whole = ask(question);
  EXPECT_TRUE(whole.more.empty());
  question.most = 7;
  std::vector<std::vector<std::string>> seen;
  std::uint64_t count = 0;
  for (;;) {
    const UsageReport page = ask(question);
    ASSERT_LE(page.groups.size(), 7u);
    for (const UsageSums& one : page.groups) {
      seen.push_back(one.group);
      count += one.count;
      EXPECT_TRUE(one.duration_p95_us.has_value());
    }
    question.after = page.more;
    if (page.more.empty()) break;
  }
  EXPECT_EQ(432u, count);
  ASSERT_EQ(whole.groups.size(), seen.size());
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(whole.groups[i].group, seen[i]);
  question.after = "zz";
  Result<UsageReport> refused =
      wait(5s, [&](Deadline& d) { return usage(*database_, question, d); });
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(Kind::invalid, refused.error().kind);
}

TEST_P(UsageSumsOver, TheSlowestOfTwentyAsThePercentile) {
  std::vector<UsageRow> rows;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    rows.push_back(usage_row(kStart + static_cast<std::int64_t>(i), i));
    rows.back().duration_us = static_cast<std::int64_t>(i) * 1000;
  }
  ASSERT_TRUE(wait(10s, [&](Deadline& d) { return database_->append_usage(rows, d); }).ok());
  UsageQuestion question = all({}, 1);
  question.percentiles = true;
  UsageReport report = ask(question);
  ASSERT_EQ(1u, report.groups.size());
  EXPECT_EQ(95'000, report.groups.at(0).duration_p95_us.value_or(0));
  // Hits that are summed count as many.
  rows.assign(1, usage_row(kStart + 1000, 1000));
  rows[0].count = 9900;
  rows[0].duration_us = 9900 * 10;
  ASSERT_TRUE(wait(10s, [&](Deadline& d) { return database_->append_usage(rows, d); }).ok());
  report = ask(question);
  EXPECT_EQ(10'000u, report.groups.at(0).count);
  EXPECT_EQ(10, report.groups.at(0).duration_p95_us.value_or(0));
}

TEST_P(UsageSumsOver, RowsAndTheDaysThatTheyBecame) {
  // Three months; the first two of them go.
  fill(80);
  const std::uint64_t count = 80 * 144;
  const std::int64_t now = kStart + 80 * kDay;
  UsageReport before = ask(all({UsageColumn::day, UsageColumn::tenant}, 80));
  const std::uint64_t gone = tidy(now, 20 * 24h);
  EXPECT_GT(gone, 0u);
  EXPECT_EQ(static_cast<std::int64_t>(count - gone), number(kLeft));
  EXPECT_EQ(static_cast<std::int64_t>(gone), number(kDays));
  EXPECT_EQ(0u, tidy(now, 20 * 24h));
  EXPECT_EQ(static_cast<std::int64_t>(gone), number(kDays));

  UsageQuestion question = all({UsageColumn::day, UsageColumn::tenant}, 80);
  question.most = 10'000;
  UsageReport after = ask(question);
  question.by = {};
  before = ask(question);
  EXPECT_EQ(count, before.groups.at(0).count);
  EXPECT_EQ(75 * count, before.groups.at(0).tokens.input);
  EXPECT_EQ(1000 * static_cast<std::int64_t>(count), before.groups.at(0).cost);
  EXPECT_EQ(count / 20, before.groups.at(0).errors);
  EXPECT_DOUBLE_EQ(900.0, before.groups.at(0).first_token_us.value_or(0));
  std::uint64_t sum = 0;
  for (const UsageSums& one : after.groups) sum += one.count;
  EXPECT_EQ(count, sum);

  // A part of the time, beside the border between the two.
  question.from_us = kStart + 5 * kDay;
  question.to_us = kStart + 75 * kDay;
  EXPECT_EQ(70u * 144, ask(question).groups.at(0).count);
}

TEST_P(UsageSumsOver, TheAverageComplexityOfWhatWasAsked) {
  std::vector<UsageRow> rows;
  for (std::uint64_t i = 0; i < 3; ++i) {
    rows.push_back(usage_row(kStart + static_cast<std::int64_t>(i), i));
    rows.back().model = "m";
    rows.back().count = 1;
  }
  rows[0].complexity = 0.2;
  rows[1].complexity = 0.8;
  rows[1].count = 3;
  Result<void> done = wait(20s, [&](Deadline& d) { return database_->append_usage(rows, d); });
  ASSERT_TRUE(done.ok()) << done.error().detail;
  const UsageReport report = ask(all({UsageColumn::model}, 1));
  ASSERT_EQ(1u, report.groups.size());
  EXPECT_EQ(5u, report.groups.at(0).count);
  EXPECT_EQ(4u, report.groups.at(0).judged);
  EXPECT_DOUBLE_EQ(0.65, report.groups.at(0).complexity);
  // Days that are kept as sums have none.
  EXPECT_EQ(3u, tidy(kStart + 80 * kDay, 20 * 24h));
  const UsageReport later = ask(all({UsageColumn::model}, 1));
  ASSERT_EQ(1u, later.groups.size());
  EXPECT_EQ(5u, later.groups.at(0).count);
  EXPECT_EQ(0u, later.groups.at(0).judged);
}

TEST_P(UsageSumsOver, WhatWasSpentByWhom) {
  fill(2);
  const auto spent = [&](SpendOf of, const std::string& name) {
    Result<Nano> sum = wait(
        5s, [&](Deadline& d) { return spend(*database_, of, name, kStart, kStart + kDay, d); });
    EXPECT_TRUE(sum.ok()) << sum.error().detail;
    return sum ? *sum : -1;
  };
  EXPECT_EQ(144'000, spent(SpendOf::all, ""));
  EXPECT_EQ(3'000, spent(SpendOf::tenant, "tenant-1"));
  EXPECT_EQ(1'000, spent(SpendOf::key, "key_3"));
  EXPECT_EQ(29'000, spent(SpendOf::model, "model-0"));
  EXPECT_EQ(0, spent(SpendOf::tenant, "nobody"));
}

INSTANTIATE_TEST_SUITE_P(Each, UsageSumsOver, testing::Values("sqlite", "postgres"),
                         [](const auto& which) { return std::string(which.param); });

TEST(UsageColumns, AreKnownByTheirNamesAlone) {
  EXPECT_EQ(UsageColumn::tenant, usage_column("tenant"));
  EXPECT_EQ("month", name_of(*usage_column("month")));
  EXPECT_FALSE(usage_column("tenant; DROP TABLE usage").has_value());
  EXPECT_FALSE(usage_column("").has_value());
}

}  // namespace
}  // namespace penstock::store
