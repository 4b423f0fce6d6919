#include "settings/switches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "settings/testing.h"

namespace penstock::settings {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kFile = "cache: {answers: all}\n";

TEST(Switches, TurnTheCacheOffWhateverTheFileSays) {
  for (const char* value : {"false", "False"}) {
    const auto parsed = parse(kFile, "f", variables({{"CACHING_ENABLED", value}}));
    ASSERT_TRUE(parsed);
    EXPECT_FALSE((*parsed)->features.caching);
    const auto embedded = embedded_defaults({}, variables({{"CACHING_ENABLED", value}}));
    ASSERT_TRUE(embedded);
    EXPECT_FALSE(embedded->settings->features.caching);
  }
  for (const char* value : {"true", ""}) {
    const auto parsed = parse(kFile, "f", variables({{"CACHING_ENABLED", value}}));
    ASSERT_TRUE(parsed);
    EXPECT_TRUE((*parsed)->features.caching);
  }
}

TEST(Switches, WinOverTheFileBothWays) {
  constexpr std::string_view kOff = "features: {caching: false, redis_caching: false}\n";
  const auto as_written = parse(kOff, "f", variables());
  ASSERT_TRUE(as_written);
  EXPECT_FALSE((*as_written)->features.redis_caching);
  const auto on = parse(kOff, "f", variables({{"REDIS_CACHING_ENABLED", "true"}}));
  ASSERT_TRUE(on);
  EXPECT_TRUE((*on)->features.redis_caching);
  EXPECT_FALSE((*on)->features.caching);
}

TEST(Switches, AreRefusedWhereTheySayNeither) {
  const auto parsed = parse(kFile, "f", variables({{"CACHING_ENABLED", "maybe"}}));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(to_string(parsed.error().front()),
            "CACHING_ENABLED: cannot be \"maybe\"; expected true or false");
  EXPECT_FALSE(embedded_defaults({}, variables({{"CACHING_ENABLED", "maybe"}})));
}

TEST(Switches, ThatThisVersionDoesNotHaveAreNamed) {
  EXPECT_THAT(switch_warnings(variables()), ElementsAre());
  EXPECT_THAT(switch_warnings(variables({{"PERFORMANCE_OPTIMIZATION_ENABLED", "true"},
                                         {"OPENTELEMETRY_TRACING_ENABLED", ""}})),
              ElementsAre());
  const Environment all = variables({{"PERFORMANCE_OPTIMIZATION_ENABLED", "false"},
                                     {"CACHING_ENABLED", "false"},
                                     {"REDIS_CACHING_ENABLED", "FALSE"},
                                     {"PROMETHEUS_METRICS_ENABLED", "false"},
                                     {"OPENTELEMETRY_TRACING_ENABLED", "false"}});
  EXPECT_THAT(switch_warnings(all), ElementsAre(HasSubstr("`cache.coalesce: false`")));
  const auto embedded = embedded_defaults({}, all);
  ASSERT_TRUE(embedded);
  EXPECT_EQ(embedded->warnings.size(), 1u);
  EXPECT_FALSE(embedded->settings->features.prometheus_metrics);
  EXPECT_FALSE(embedded->settings->features.opentelemetry_tracing);
}

}  // namespace
}  // namespace penstock::settings
