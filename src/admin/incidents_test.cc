#include "admin/incidents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/webhook.h"

namespace penstock::admin {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kMinute = 60'000'000;

store::Alert alert(std::string group, std::string name, std::int64_t begin,
                   std::optional<std::int64_t> end, std::string severity = "warning") {
  store::Alert one;
  one.group = std::move(group);
  one.name = std::move(name);
  one.begin_us = begin * kMinute;
  if (end) one.end_us = *end * kMinute;
  one.severity = std::move(severity);
  return one;
}

TEST(Incidents, AreAlertsOfAGroupThatFiredTogether) {
  const std::vector<Incident> all =
      incidents_of({alert("g", "B", 12, 20, "critical"), alert("g", "A", 10, 14),
                    alert("other", "A", 11, {}), alert("g", "A", 24, 30)});
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].name, "A");  // the last first
  EXPECT_EQ(all[0].end_us, std::nullopt);
  EXPECT_EQ(all[1].name, "A, B");
  EXPECT_EQ(all[1].severity, "critical");
  EXPECT_EQ(all[1].begin_us, 10 * kMinute);
  EXPECT_EQ(all[1].end_us, 30 * kMinute);
  EXPECT_EQ(all[1].alerts.size(), 3u);
}

TEST(Incidents, AreTwoWhereThereWasPeaceBetween) {
  EXPECT_EQ(incidents_of({alert("g", "A", 10, 14), alert("g", "A", 20, {})}).size(), 2u);
  EXPECT_EQ(incidents_of({alert("g", "A", 10, {}), alert("g", "A", 500, 501)}).size(), 1u);
}

TEST(Webhook, ReadsTimes) {
  EXPECT_EQ(rfc3339_us("1970-01-01T00:00:01Z"), 1'000'000);
  EXPECT_EQ(rfc3339_us("2026-11-28T05:00:00.123456789Z"), 1795842000123456);
  EXPECT_EQ(rfc3339_us("2026-11-28T06:30:00+01:30"), 1795842000000000);
  EXPECT_EQ(rfc3339_us("2026-11-27T23:00:00-06:00"), 1795842000000000);
  for (const char* bad :
       {"", "2026-11-28", "2026-02-30T00:00:00Z", "2026-11-28T24:00:00Z", "2026-11-28T05:00:00",
        "2026-11-28T05:00:00.Z", "2026-11-28T05:00:00Zx", "2026-11-28T05:00:00+1:00"}) {
    EXPECT_EQ(rfc3339_us(bad), std::nullopt) << bad;
  }
}

std::string message(const std::string& alert) {
  return R"({"version":"4","groupKey":"{}:{a=\"b\"}","status":"firing","alerts":[)" + alert + "]}";
}

TEST(Webhook, ReadsWhatAlertmanagerSends) {
  const auto alerts = read_webhook(
      message(R"({"status":"resolved","labels":{"alertname":"PenstockDown","severity":"critical"},
        "annotations":{"summary":"\"quoted\""},"startsAt":"2026-11-28T05:00:00Z",
        "endsAt":"2026-11-28T05:02:00Z","generatorURL":"x","fingerprint":"f1"},
        {"status":"firing","labels":{},"annotations":{},"startsAt":"2026-11-28T05:00:00Z",
        "endsAt":"0001-01-01T00:00:00Z","fingerprint":"f2"})"),
      7);
  ASSERT_TRUE(alerts) << alerts.error().message;
  ASSERT_EQ(alerts->size(), 2u);
  const store::Alert& first = alerts->front();
  EXPECT_EQ(first.group, "{}:{a=\"b\"}");
  EXPECT_EQ(first.name, "PenstockDown");
  EXPECT_EQ(first.severity, "critical");
  EXPECT_EQ(first.annotations, R"({"summary":"\"quoted\""})");
  EXPECT_EQ(*first.end_us - first.begin_us, 2 * kMinute);
  EXPECT_EQ(first.seen_us, 7);
  EXPECT_EQ(alerts->back().end_us, std::nullopt);
}

TEST(Webhook, SaysWhatIsWrongWithAMessage) {
  const auto wrong = [](const std::string& json) {
    const auto read = read_webhook(json, 0);
    return read ? std::string("good") : read.error().message;
  };
  EXPECT_THAT(wrong("[]"), HasSubstr("must be a JSON object"));
  EXPECT_THAT(wrong(R"({"version":"3"})"), HasSubstr("'version': expected \"4\""));
  EXPECT_THAT(wrong(R"({"version":"4","groupKey":"g"})"), HasSubstr("'alerts'"));
  const std::string good =
      R"("status":"firing","startsAt":"2026-11-28T05:00:00Z","fingerprint":"f",)";
  EXPECT_THAT(wrong(message("{" + good + R"("labels":{"a":1},"annotations":{}})")),
              HasSubstr("'alerts[0].labels'"));
  EXPECT_THAT(wrong(message("{" + good + R"("labels":{}})")), HasSubstr("annotations"));
  EXPECT_THAT(wrong(message(R"({"status":"on","fingerprint":"f"})")),
              HasSubstr("alerts[0].status"));
  EXPECT_THAT(wrong(message(R"({"status":"firing"})")), HasSubstr("alerts[0].fingerprint"));
  EXPECT_EQ(wrong(message("{" + good + R"("labels":{},"annotations":{}})")), "good");
}

}  // namespace
}  // namespace penstock::admin
