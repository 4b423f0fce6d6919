#include "route/route.h"

#include <gtest/gtest.h>

namespace penstock::route {
namespace {

settings::SettingsPtr parse(const char* yaml) {
  auto parsed = settings::parse(yaml, "test.yaml", [](const std::string&) { return std::nullopt; });
  EXPECT_TRUE(parsed);
  return parsed ? *parsed : nullptr;
}

constexpr const char* kTwo = R"(
engines:
  - {name: docs, kind: documents, path: /tmp}
  - {name: gpu, kind: openai, url: "http://127.0.0.1:9/v1"}
models:
  - {name: handbook, engines: [docs]}
  - {name: small, engines: [gpu], upstream_name: llama-8b, aliases: [gpt-4o-mini]}
)";

TEST(Table, ResolvesNamesAndAliases) {
  const Table table(*parse(kTwo));
  const auto plan = table.plan("gpt-4o-mini");
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->engine, 1u);
  EXPECT_EQ(plan->model, "small");
  EXPECT_EQ(plan->upstream_model, "llama-8b");
  EXPECT_EQ(table.pairs()[plan->metrics].model, "small");
  EXPECT_EQ(table.names(), (std::vector<std::string>{"handbook", "small", "gpt-4o-mini"}));
}

TEST(Table, RefusesAnUnknownModelByName) {
  const Table table(*parse(kTwo));
  const auto plan = table.plan("gpt-9");
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().status, 404);
  EXPECT_EQ(plan.error().code, "model_not_found");
  EXPECT_EQ(plan.error().param, "model");
}

TEST(Table, SendsEveryOtherNameToTheWildcardUnderOneLabel) {
  const Table table(*parse(R"(
engines: [{name: gpu, kind: openai, url: "http://127.0.0.1:9/v1"}]
models: [{name: "*", engines: [gpu]}, {name: known, engines: [gpu]}]
)"));
  const auto any = table.plan("whatever");
  ASSERT_TRUE(any);
  EXPECT_EQ(any->upstream_model, "whatever");
  EXPECT_EQ(table.pairs()[any->metrics].model, "other");
  EXPECT_EQ(table.pairs()[table.plan("known")->metrics].model, "known");
}

TEST(Table, WithoutAModelTakesTheOnlyEngineThatIsNotEmbedded) {
  const auto plan = Table(*parse(kTwo)).plan_without_model();
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->engine, 1u);
  const Table two(*parse(R"(
engines:
  - {name: a, kind: openai, url: "http://127.0.0.1:9/v1"}
  - {name: b, kind: openai, url: "http://127.0.0.1:9/v1"}
models: [{name: x, engines: [a]}, {name: y, engines: [b]}]
)"));
  ASSERT_FALSE(two.plan_without_model());
  EXPECT_EQ(two.plan_without_model().error().param, "model");
}

}  // namespace
}  // namespace penstock::route
