#include "settings/budgets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "settings/testing.h"

namespace penstock::settings {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<Budget> budgets_of(std::string_view yaml) {
  const Result<SettingsPtr, Problems> parsed = parse(yaml, "f", variables());
  EXPECT_TRUE(parsed.ok()) << to_string(parsed.error().front());
  return parsed ? (*parsed)->budgets : std::vector<Budget>();
}

std::string problem_of(const std::string& budget) {
  const std::vector<std::string> lines = problems_of("budgets: [" + budget + "]");
  return lines.empty() ? "" : lines.size() > 1 ? "several: " + lines[1] : lines[0];
}

TEST(Budgets, AreThoseOfEveryStartWhereNoneIsGiven) {
  const std::vector<Budget> all = budgets_of("{}");
  ASSERT_EQ(all.size(), 8u);
  EXPECT_EQ(all[0].name, "latency");
  EXPECT_EQ(all[0].of, BudgetOf::response);
  EXPECT_DOUBLE_EQ(*limit_of(all[0]), 0.2);
  EXPECT_DOUBLE_EQ(objective_of(all[0]), 0.95);
  EXPECT_EQ(all[1].of, BudgetOf::throughput);
  EXPECT_FALSE(all[1].live());
  EXPECT_DOUBLE_EQ(objective_of(all[2]), 0.8);
  EXPECT_EQ(all[2].of, BudgetOf::cache);
  EXPECT_DOUBLE_EQ(objective_of(all[3]), 0.99);
  EXPECT_EQ(all[3].alert, BudgetAlert::page);
  EXPECT_DOUBLE_EQ(*limit_of(all[6]), 50);
  EXPECT_THAT(budgets_of("budgets: []"), IsEmpty());
}

TEST(Budgets, AreReadAsTheContractHasThem) {
  const std::vector<Budget> all = budgets_of(
      "budgets:\n"
      "  - {name: latency, of: response, below: 200ms, for: 95%, in: [load, live], alert: none}\n"
      "  - {name: throughput, requests_per_second: 1000, in: [load], alert: none}\n"
      "  - {name: cache, hit_ratio: 80%, in: [load, live], alert: none}\n"
      "  - {name: errors, below: 1%, in: [load, live], alert: page}\n"
      "  - {name: cpu, below: 70%, in: [load, live], alert: ticket}\n"
      "  - {name: memory, below: 80%, in: [load, live], alert: ticket}\n"
      "  - {name: database_connections, below: 50, in: [load, live], alert: ticket}\n"
      "  - {name: overhead, of: overhead, below: 10ms, for: 99%, in: [load, live], alert: page}\n");
  EXPECT_EQ(all, budgets_of("{}"));
}

TEST(Budgets, AreReadAgainAsTheyAreShown) {
  const Result<SettingsPtr, Problems> first = parse("{}", "f", variables());
  const std::string shown = describe(**first);
  const std::string part = shown.substr(shown.find("\nbudgets:"));
  EXPECT_EQ(budgets_of(part), (*first)->budgets);
}

TEST(Budgets, AnAimNeedsNoName) {
  EXPECT_EQ(budgets_of("budgets: [{name: quick, of: first_token, below: 1s}]")[0].share,
            kBudgetShare);
  EXPECT_EQ(budgets_of("budgets: [{name: half, hit_ratio: 50%}]")[0].of, BudgetOf::cache);
}

TEST(Budgets, WhatSaysNothingIsTold) {
  EXPECT_THAT(
      problem_of("{name: latency, below: 200ms}"),
      HasSubstr("budgets[0].name: does not say what the budget is about; expected of: response"));
  EXPECT_THAT(problem_of("{name: error, below: 1%}"), HasSubstr("did you mean \"errors\"?"));
  EXPECT_THAT(problem_of("{name: errors}"), HasSubstr("a budget of errors needs `below`"));
  EXPECT_THAT(problem_of("{name: x, of: cache}"), HasSubstr("needs `hit_ratio`"));
  EXPECT_THAT(problem_of("{name: throughput}"), HasSubstr("needs `requests_per_second`"));
  EXPECT_THAT(problem_of("{name: errors, below: 1%, for: 5%}"),
              HasSubstr("budgets[0].for: does not belong to a budget of errors"));
  EXPECT_THAT(problem_of("{name: x, of: cpu, below: 70%, hit_ratio: 5%}"),
              HasSubstr("budgets[0].hit_ratio: does not belong to a budget of cpu"));
}

TEST(Budgets, WhatCannotBeKeptOrBrokenIsTold) {
  EXPECT_THAT(
      problem_of("{name: x, of: response, below: 200, for: 95%}"),
      HasSubstr("\"200\" is nothing that response can be below; expected a time such as 200ms"));
  EXPECT_THAT(problem_of("{name: cpu, below: 70}"), HasSubstr("expected a percentage such as 70%"));
  EXPECT_THAT(problem_of("{name: cpu, below: 0%}"), HasSubstr("is nothing that cpu can be below"));
  EXPECT_THAT(problem_of("{name: errors, below: 100%}"),
              HasSubstr("leaves nothing that may be missed"));
  EXPECT_THAT(problem_of("{name: x, of: response, below: 1s, for: 100%}"),
              HasSubstr("such as 99.9%"));
  EXPECT_THAT(problem_of("{name: c, hit_ratio: 0%}"), HasSubstr("budgets[0].hit_ratio"));
  EXPECT_THAT(problem_of("{name: throughput, requests_per_second: 0}"), HasSubstr("is zero"));
  EXPECT_THAT(problem_of("{name: throughput, requests_per_second: 5, in: [live]}"),
              HasSubstr("clients decide; expected [load]"));
  EXPECT_THAT(problem_of("{name: cpu, below: 70%, in: [lod]}"),
              HasSubstr("did you mean \"load\"?"));
  EXPECT_THAT(problem_of("{name: cpu, below: 70%}, {name: cpu, below: 80%}"),
              HasSubstr("stands twice"));
}

TEST(Budgets, AreSoManyAtMost) {
  std::string yaml = "budgets:\n";
  for (std::size_t i = 0; i <= kMostBudgets; ++i) {
    yaml += "  - {name: b" + std::to_string(i) + ", of: cpu, below: 70%}\n";
  }
  EXPECT_THAT(problems_of(yaml), ElementsAre(HasSubstr("are 33, and at most 32 are kept")));
}

}  // namespace
}  // namespace penstock::settings
