#include "budget/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

namespace penstock::budget {
namespace {

using testing::HasSubstr;
using testing::Not;

Objective objective(Of of, double limit, double share, settings::BudgetAlert alert) {
  Objective one;
  one.name = "b";
  one.of = of;
  one.limit = limit;
  one.below = "x";
  one.share = share;
  one.live = true;
  one.alert = alert;
  return one;
}

constexpr auto kPage = settings::BudgetAlert::page;

std::vector<std::string> alerts(const std::string& rules) {
  std::vector<std::string> names;
  const YAML::Node group = YAML::Load(rules)["groups"][0]["rules"];
  for (const auto& rule : group) {
    if (!rule["alert"]) continue;
    names.push_back(rule["alert"].as<std::string>() + " " +
                    rule["labels"]["severity"].as<std::string>());
  }
  return names;
}

TEST(BudgetRules, WakeWhoeverTheBudgetSays) {
  using settings::BudgetAlert;
  EXPECT_THAT(
      alerts(prometheus_rules({objective(Of::errors, 0.01, 0.99, kPage)})),
      testing::ElementsAre("PenstockBudgetBurnFast critical", "PenstockBudgetBurnSlow warning"));
  EXPECT_THAT(
      alerts(prometheus_rules({objective(Of::errors, 0.01, 0.99, BudgetAlert::ticket)})),
      testing::ElementsAre("PenstockBudgetBurnFast warning", "PenstockBudgetBurnSlow warning"));
  EXPECT_TRUE(
      alerts(prometheus_rules({objective(Of::errors, 0.01, 0.99, BudgetAlert::none)})).empty());
}

TEST(BudgetRules, LeaveOutWhatALargeBudgetCannotReach) {
  // A fifth may be missed: it cannot burn six times as fast.
  const std::string rules = prometheus_rules({objective(Of::cache, 0, 0.8, kPage)});
  EXPECT_THAT(alerts(rules), testing::ElementsAre("PenstockBudgetBurnSlow warning"));
  EXPECT_THAT(rules, HasSubstr("> 3 * 0.2"));
}

TEST(BudgetRules, FindTheBucketOfALimitInBothFormats) {
  EXPECT_THAT(prometheus_rules({objective(Of::overhead, 0.01, 0.99, kPage)}),
              HasSubstr("penstock_request_overhead_seconds_bucket{le=\"0.01\"}"));
  EXPECT_THAT(prometheus_rules({objective(Of::first_token, 2, 0.99, kPage)}),
              HasSubstr("penstock_engine_time_to_first_token_seconds_bucket{le=~\"2([.]0)?\"}"));
}

TEST(BudgetRules, AskForTrafficWhereEventsAreCounted) {
  EXPECT_THAT(prometheus_rules({objective(Of::errors, 0.01, 0.99, kPage)}),
              HasSubstr("job:penstock_budget_events:rate1h{budget=\"b\"} >"));
  EXPECT_THAT(prometheus_rules({objective(Of::cpu, 0.7, 0.99, kPage)}),
              Not(HasSubstr("and on (job) job:penstock_budget_events")));
}

TEST(BudgetRules, AreAGoodFileWithoutABudget) {
  EXPECT_EQ(YAML::Load(prometheus_rules({}))["groups"].size(), 0u);
}

}  // namespace
}  // namespace penstock::budget
