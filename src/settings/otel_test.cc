#include "settings/otel.h"

#include <gmock/gmock.h>

#include "settings/testing.h"

namespace penstock::settings {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kFile = "engines: [{name: a, kind: simulated}]\n";

Tracing tracing_of(const Environment& environment, std::string_view more = "") {
  const auto parsed = parse(std::string(kFile) + std::string(more), "f", environment);
  EXPECT_TRUE(parsed);
  return parsed ? (*parsed)->tracing : Tracing();
}

TEST(Otel, NothingIsSentWhereNothingSaysWhereTo) {
  EXPECT_EQ(tracing_of(variables()).endpoint, "");
  EXPECT_EQ(tracing_of(variables({{"OTEL_SERVICE_NAME", "x"}})).endpoint, "");
}

TEST(Otel, TheEndpointIsABaseOrTheTracesOwn) {
  EXPECT_EQ(tracing_of(variables({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"}})).endpoint,
            "http://c:4318/v1/traces");
  EXPECT_EQ(tracing_of(variables({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c/otlp/"}})).endpoint,
            "http://c/otlp/v1/traces");
  EXPECT_EQ(tracing_of(variables({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"},
                                  {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/x"}}))
                .endpoint,
            "http://t/x");
  EXPECT_EQ(tracing_of(variables({{"OTEL_TRACES_EXPORTER", "otlp"}})).endpoint,
            "http://localhost:4318/v1/traces");
}

TEST(Otel, TheFileWins) {
  const Environment environment = variables(
      {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"}, {"OTEL_TRACES_SAMPLER", "always_on"}});
  const Tracing own = tracing_of(environment, "tracing: {endpoint: 'http://mine:1', sample: 1%}\n");
  EXPECT_EQ(own.endpoint, "http://mine:1/v1/traces");
  EXPECT_EQ(own.sample, 0.01);
  EXPECT_EQ(tracing_of(environment, "tracing: {endpoint: 'http://mine:1/a/b'}\n").endpoint,
            "http://mine:1/a/b");
  EXPECT_EQ(tracing_of(environment, "tracing: {endpoint: ''}\n").endpoint, "");
  EXPECT_EQ(tracing_of(environment).sample, 1.0);
}

TEST(Otel, CanBeTurnedOff) {
  const auto endpoint = std::pair("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
  EXPECT_EQ(tracing_of(variables({endpoint, {"OTEL_SDK_DISABLED", "TRUE"}})).endpoint, "");
  EXPECT_EQ(tracing_of(variables({endpoint, {"OTEL_TRACES_EXPORTER", "none"}})).endpoint, "");
  EXPECT_FALSE(tracing_of(variables({{"OTEL_PROPAGATORS", "none"}})).propagate);
  EXPECT_TRUE(tracing_of(variables({{"OTEL_PROPAGATORS", "baggage, tracecontext"}})).propagate);
}

TEST(Otel, Samplers) {
  const auto with = [](const char* name, const char* argument) {
    return tracing_of(
        variables({{"OTEL_TRACES_SAMPLER", name}, {"OTEL_TRACES_SAMPLER_ARG", argument}}));
  };
  EXPECT_EQ(with("parentbased_traceidratio", "0.25").sample, 0.25);
  EXPECT_TRUE(with("parentbased_traceidratio", "0.25").follow_parent);
  EXPECT_FALSE(with("traceidratio", "0.25").follow_parent);
  EXPECT_EQ(with("always_off", "").sample, 0.0);
  EXPECT_EQ(with("jaeger_remote", "").sample, std::nullopt);
}

TEST(Otel, TheRestOfTheExport) {
  const Tracing::Otlp otlp =
      tracing_of(
          variables({{"OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, a = b"},
                     {"OTEL_EXPORTER_OTLP_TIMEOUT", "2500"},
                     {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"},
                     {"OTEL_BSP_MAX_QUEUE_SIZE", "100"},
                     {"OTEL_BSP_SCHEDULE_DELAY", "300"},
                     {"OTEL_RESOURCE_ATTRIBUTES", "service.name=no,deployment.environment=prod"},
                     {"OTEL_SERVICE_NAME", "gate"}}))
          .otlp;
  EXPECT_THAT(otlp.headers,
              ElementsAre(NamedValue{"authorization", "Bearer x"}, NamedValue{"a", "b"}));
  EXPECT_EQ(otlp.timeout, 2500ms);
  EXPECT_EQ(otlp.queue, 100u);
  EXPECT_EQ(otlp.batch, 100u);
  EXPECT_EQ(otlp.delay, 300ms);
  EXPECT_EQ(otlp.service, "gate");
  EXPECT_THAT(otlp.resource, ElementsAre(NamedValue{"deployment.environment", "prod"}));
}

TEST(Otel, WhatIsNotUnderstoodIsNamedAndIgnored) {
  EXPECT_THAT(otel_warnings(variables()), ElementsAre());
  EXPECT_THAT(otel_warnings(variables({{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector"},
                                       {"OTEL_EXPORTER_OTLP_HEADERS", "secret"},
                                       {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
                                       {"OTEL_TRACES_SAMPLER", "xray"},
                                       {"OTEL_BSP_SCHEDULE_DELAY", "soon"},
                                       {"OTEL_PROPAGATORS", "b3"}})),
              ElementsAre(HasSubstr("OTEL_EXPORTER_OTLP_ENDPOINT"), HasSubstr("always_on"),
                          HasSubstr("tracecontext or none"),
                          AllOf(HasSubstr("OTEL_EXPORTER_OTLP_HEADERS"), Not(HasSubstr("secret"))),
                          HasSubstr("http/protobuf"), HasSubstr("OTEL_BSP_SCHEDULE_DELAY")));
}

TEST(Otel, NamesThatAreNotStableAreThereForWhoWantsThem) {
  const auto gen_ai = [](const char* wanted) {
    const auto parsed =
        parse(std::string(kFile), "f", variables({{"OTEL_SEMCONV_STABILITY_OPT_IN", wanted}}));
    return parsed && (*parsed)->metrics.gen_ai;
  };
  EXPECT_FALSE(gen_ai(""));
  EXPECT_FALSE(gen_ai("http, database/dup"));
  EXPECT_FALSE(gen_ai("gen_ai_latest_experimental2"));
  EXPECT_TRUE(gen_ai("gen_ai_latest_experimental"));
  EXPECT_TRUE(gen_ai("http,  gen_ai_latest_experimental ,x"));
}

}  // namespace
}  // namespace penstock::settings
