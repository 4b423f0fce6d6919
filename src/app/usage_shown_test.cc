#include "app/usage_shown.h"

#include <gtest/gtest.h>

namespace penstock::app {
namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kToday = 20'784 * 86'400 * kSecond;  // 2026-11-27
const WallTime kNow{std::chrono::microseconds(kToday + 4 * 3600 * kSecond + 1)};

TEST(Moments, AreDaysMonthsTimesOrHowLongAgo) {
  EXPECT_EQ(kToday, parse_moment("2026-11-27", kNow));
  EXPECT_EQ(kToday - 26 * 86'400 * kSecond, parse_moment("2026-11", kNow));
  EXPECT_EQ(kToday + 16'200 * kSecond, parse_moment("2026-11-27T04:30", kNow));
  EXPECT_EQ(kToday + 16'201 * kSecond, parse_moment("2026-11-27T04:30:01Z", kNow));
  EXPECT_EQ(kToday + 14'400 * kSecond, parse_moment("2026-11-27T04", kNow));
  EXPECT_EQ(kToday + 1 - 86'400 * kSecond, parse_moment("28h", kNow));
  EXPECT_EQ(kToday, day_of(kNow));
  EXPECT_EQ(kToday - 26 * 86'400 * kSecond, month_of(kNow));
  for (const char* text : {"", "2026", "2026-", "2026-13", "2026-11-31", "2026-11-27 04:30",
                           "2026-11-27T24", "2026-11-27T04:60", "2026-11-27T04:30:00+01:00", "7",
                           "1969-12-31", "yesterday", "-1h", "2026-11x"}) {
    EXPECT_FALSE(parse_moment(text, kNow)) << text;
  }
  EXPECT_EQ("2026-11-27T04:00:00Z", moment_text(kToday + 14'400 * kSecond));
}

store::UsageSums sums(std::vector<std::string> group, std::uint64_t count, Nano cost) {
  store::UsageSums out;
  out.group = std::move(group);
  out.count = count;
  if (out.group.back() == "memory") {
    out.hits = count;
    out.saved = 11 * count;
  } else {
    out.tokens = {10 * count, count, 0, 0};
  }
  out.cost = cost;
  out.duration_us = 1000.0 * static_cast<double>(count);
  return out;
}

UsageLines some() {
  UsageLines lines(false);
  store::UsageSums hits = sums({"acme", "memory"}, 30, 0);
  hits.judged = 30;
  hits.complexity = 0.4;
  lines.add(hits);
  store::UsageSums calls = sums({"acme", "miss"}, 10, 27'000);
  calls.judged = 10;
  calls.complexity = 0.6;
  lines.add(calls);
  store::UsageSums other = sums({"=cmd,\"x\"", "miss"}, 2, 5'000'000'000);
  other.errors = 1;
  other.first_token_us = 1500;
  lines.add(other);
  return lines;
}

TEST(UsageTables, TellWhatEnginesDidFromWhatTheCacheSaved) {
  const UsageLines lines = some();
  ASSERT_EQ(2u, lines.lines().size());
  const UsageLine& acme = lines.lines()[0];
  EXPECT_EQ(40u, acme.requests);
  EXPECT_EQ(30u, acme.hits);
  EXPECT_EQ(100u, acme.tokens.input);
  EXPECT_EQ(330u, acme.saved);
  EXPECT_DOUBLE_EQ((30.0 * 30'000 + 10.0 * 10'000) / 40, acme.duration_us);
  const UsageView view{kToday, kToday + 1, {"tenant"}, false};
  EXPECT_EQ(
      "tenant    requests  hits  errors  input  output  cached  reasoning  saved      cost    ms  "
      "first_token_ms  complexity\n"
      "acme            40    30       0    100      10       0          0    330  0.000027  25.0  "
      "             -        0.45\n"
      "=cmd,\"x\"         2     0       1     20       2       0          0      0      5.00   2.0 "
      " "
      "           1.5           -\n"
      "total           42    30       1    120      12       0          0    330  5.000027  23.9  "
      "           1.5        0.45\n",
      show_usage(view, lines, UsageFormat::table));
}

TEST(UsageTables, AreCsvThatNoSpreadsheetTakesForAFormula) {
  const UsageView view{kToday, kToday + 1, {"tenant"}, true};
  EXPECT_EQ(
      "tenant,requests,hits,errors,input,output,cached,reasoning,saved,cost,ms,first_token_ms,"
      "complexity,p95_ms\r\n"
      "acme,40,30,0,100,10,0,0,330,0.000027,25.0,,0.45,\r\n"
      "\"'=cmd,\"\"x\"\"\",2,0,1,20,2,0,0,0,5.00,2.0,1.5,,\r\n",
      show_usage(view, some(), UsageFormat::csv));
}

TEST(UsageTables, AreJson) {
  const UsageView view{kToday, kToday + kSecond, {"tenant"}, false};
  const std::string json = show_usage(view, some(), UsageFormat::json);
  EXPECT_EQ(0u, json.find(R"({"from":"2026-11-27T00:00:00Z","to":"2026-11-27T00:00:01Z",)"
                          R"("by":["tenant"],"groups":[{"tenant":"acme","requests":40,"hits":30,)"))
      << json;
  EXPECT_NE(std::string::npos, json.find(R"("cost":"0.000027")"));
  EXPECT_NE(std::string::npos, json.find(R"("total":{"requests":42)"));
  EXPECT_TRUE(json.ends_with("}}\n"));
}

TEST(UsageTables, OfNothingHaveTheirHeads) {
  const UsageView view{kToday, kToday + 1, {}, false};
  UsageLines none(false);
  EXPECT_EQ(1, std::ranges::count(show_usage(view, none, UsageFormat::table), '\n'));
  store::EngagementSums zero;
  const std::string people = show_engagement(view, {zero}, UsageFormat::table);
  EXPECT_EQ(2, std::ranges::count(people, '\n')) << people;
  EXPECT_NE(std::string::npos, people.find("all"));
}

TEST(UsageTables, ShowWhatAClientWroteWithoutObeyingIt) {
  UsageLines lines(false);
  lines.add(sums({"\x1b]0;mine\x07", "miss"}, 1, 0));
  const UsageView view{kToday, kToday + 1, {"model"}, false};
  EXPECT_EQ(std::string::npos, show_usage(view, lines, UsageFormat::table).find('\x1b'));
}

}  // namespace
}  // namespace penstock::app
