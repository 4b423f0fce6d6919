// Who may ask, how much, and where it is kept: from the file into Settings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "settings/testing.h"

namespace penstock::settings {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Settings good(std::string_view yaml, const Environment& environment = variables()) {
  const Result<SettingsPtr, Problems> parsed = parse(yaml, "f", environment);
  if (!parsed) {
    ADD_FAILURE() << to_string(parsed.error().front());
    return {};
  }
  return **parsed;
}

TEST(Access, LimitsOfAllKindsOfOwnersArrive) {
  const Settings settings = good(
      "limits:\n"
      "  requests: 600/m\n"
      "  inflight: 3\n"
      "  spend: {day: 1.5, month: none}\n"
      "  global: {tokens: 100000/m}\n"
      "  models:\n"
      "    handbook: {requests: 10/s}\n"
      "    \"a.b/c\": {requests: 0}\n"
      "models: [{name: handbook, engines: [d]}, {name: a.b/c, engines: [d]}]\n"
      "engines: [{name: d, kind: documents, path: .}]\n"
      "tenants:\n"
      "  - {name: acme, limits: {requests: 5/d}, models: [handbook], cache: {scope: key}}\n"
      "  - {name: beta}\n");
  EXPECT_EQ(settings.limits.standard.requests, (Rate{600, 1min}));
  EXPECT_EQ(settings.limits.standard.tokens, std::nullopt);
  EXPECT_EQ(settings.limits.standard.inflight, 3u);
  EXPECT_EQ(settings.limits.standard.spend.day, 1.5);
  EXPECT_EQ(settings.limits.standard.spend.month, std::nullopt);
  EXPECT_EQ(settings.limits.global.tokens, (Rate{100000, 1min}));
  ASSERT_EQ(settings.limits.models.size(), 2u);
  EXPECT_EQ(settings.limits.models[0].name, "handbook");
  EXPECT_EQ(settings.limits.models[0].limits.requests, (Rate{10, 1s}));
  EXPECT_EQ(settings.limits.models[1].name, "a.b/c");
  EXPECT_EQ(settings.limits.models[1].limits.requests->count, 0u);
  ASSERT_EQ(settings.tenants.size(), 2u);
  EXPECT_EQ(settings.tenants[0].limits.requests, (Rate{5, 24h}));
  EXPECT_EQ(settings.tenants[0].cache.scope, Scope::key);
  EXPECT_THAT(settings.tenants[0].models, ElementsAre("handbook"));
  EXPECT_EQ(settings.tenants[1].cache.scope, std::nullopt);

  const auto again = parse(describe(settings), "again", variables());
  ASSERT_TRUE(again) << to_string(again.error().front());
  EXPECT_EQ(**again, settings);
}

TEST(Access, WhatDoesNotFitTogetherIsRefused) {
  EXPECT_THAT(problems_of("auth: {mode: jwt, jwt: {issuer: a, audience: b}}"),
              ElementsAre(HasSubstr("auth.mode: is jwt, and auth.jwt.jwks_url is missing")));
  EXPECT_THAT(problems_of("auth: {mode: jwt, jwt: {issuer: a, audience: b, jwks_url: "
                          "http://idp.example/keys}}"),
              ElementsAre(HasSubstr("auth.jwt.jwks_url: is neither https nor on loopback")));
  EXPECT_THAT(problems_of("auth: {mode: jwt, jwt: {issuer: a, audience: b, jwks_url: "
                          "http://127.0.0.1:1/keys}}"),
              IsEmpty());
  EXPECT_THAT(problems_of("tenants: [{name: a}, {name: a}]"),
              ElementsAre(HasSubstr("tenants[1].name: \"a\" is the name of tenants[0] too")));
  EXPECT_THAT(problems_of("limits: {models: {handbok: {requests: 1/s}}}"),
              ElementsAre(HasSubstr("there is no model \"handbok\"; expected handbook")));
  EXPECT_THAT(problems_of("tenants: [{name: a, models: [x]}]"),
              ElementsAre(HasSubstr("tenants[0].models[0]: there is no model \"x\"")));
  EXPECT_THAT(problems_of("limits: {shared: redis}"),
              ElementsAre(HasSubstr("limits.shared: is redis, and cache.redis.urls names none")));
  EXPECT_THAT(problems_of("store: {url: \"mysql://a\"}"),
              ElementsAre(HasSubstr("store.url: its value cannot be used; expected sqlite:PATH")));
  EXPECT_THAT(problems_of("store: {replicas: [\"postgresql://r/d\"]}"),
              ElementsAre(HasSubstr("a replica is one of PostgreSQL, and store.url is a SQLite")));
  EXPECT_THAT(problems_of("cache: {redis: {urls: [\"redis://a\", \"redis://b\"]}}"), IsEmpty());
  EXPECT_THAT(problems_of("cache: {redis: {sentinel: main}}"),
              ElementsAre(HasSubstr("is set, and cache.redis.urls names no sentinel")));
}

TEST(Access, KeysLetTheGatewayListenAnywhere) {
  EXPECT_THAT(problems_of("listen: {address: \"0.0.0.0:80\"}\nauth: {mode: keys}"), IsEmpty());
  EXPECT_THAT(problems_of("listen: {address: \"0.0.0.0:80\"}"),
              ElementsAre(HasSubstr("anyone who reaches it could ask")));
}

TEST(Access, TheSecretComesFromTheEnvironmentWhereTheFileHasNone) {
  EXPECT_EQ(good("", variables({{"PENSTOCK_SECRET", "s"}})).secret, "s");
  EXPECT_EQ(good("secret: t", variables({{"PENSTOCK_SECRET", "s"}})).secret, "t");
}

TEST(Access, WhatIsShownOfAStoreHasNoPassword) {
  const std::string shown = describe(good("store: {url: \"postgresql://u:hidden@h/d\"}"));
  EXPECT_THAT(shown, HasSubstr("url: \"postgresql://***@h/d\""));
  EXPECT_THAT(shown, testing::Not(HasSubstr("hidden")));
}

}  // namespace
}  // namespace penstock::settings
