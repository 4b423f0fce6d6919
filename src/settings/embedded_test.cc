#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "settings/settings.h"
#include "settings/testing.h"

namespace penstock::settings {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A working directory of the test's own, with or without ./docs.
class EmbeddedDefaults : public testing::Test {
 protected:
  EmbeddedDefaults() {
    std::filesystem::create_directories(folder_);
    std::filesystem::current_path(folder_);
  }
  ~EmbeddedDefaults() override {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(folder_);
  }

  static Embedded good(const Overrides& overrides, std::map<std::string, std::string> values) {
    Result<Embedded, Problems> made = embedded_defaults(overrides, variables(std::move(values)));
    EXPECT_TRUE(made) << to_string(made.error().front());
    return made ? *std::move(made) : Embedded{std::make_shared<Settings>(), {}};
  }
  static std::vector<std::string> bad(const Overrides& overrides,
                                      std::map<std::string, std::string> values) {
    const auto made = embedded_defaults(overrides, variables(std::move(values)));
    std::vector<std::string> lines;
    if (!made) {
      for (const Problem& problem : made.error()) lines.push_back(to_string(problem));
    }
    return lines;
  }
  static std::vector<std::string> names(const Settings& settings) {
    std::vector<std::string> list;
    for (const auto& model : settings.models)
      list.push_back(model.name + "@" + model.engines.at(0));
    return list;
  }

 private:
  std::filesystem::path before_ = std::filesystem::current_path();
  std::filesystem::path folder_ = std::filesystem::temp_directory_path() /
                                  ("embedded_test." + std::to_string(::getpid()) + "." +
                                   testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(EmbeddedDefaults, AreTheOnesOfAnEmptyFile) {
  const Embedded made = good({}, {});
  EXPECT_EQ(*made.settings, **parse("", "f", variables()));
  EXPECT_THAT(made.warnings, IsEmpty());
}

TEST_F(EmbeddedDefaults, TakeTheFolderOfTheCommandLine) {
  const Embedded made = good({.docs_dir = "/srv/texts", .engine_url = {}}, {});
  EXPECT_EQ(made.settings->engines.at(0).path, "/srv/texts");
  EXPECT_THAT(names(*made.settings), ElementsAre("handbook@handbook"));
}

TEST_F(EmbeddedDefaults, TakeTheEngineOfTheCommandLineForEveryOtherModel) {
  const Embedded made = good({.docs_dir = {}, .engine_url = "http://127.0.0.1:8000"}, {});
  ASSERT_EQ(made.settings->engines.size(), 1u) << "there is no ./docs";
  EXPECT_EQ(made.settings->engines[0].kind, EngineKind::openai);
  EXPECT_EQ(made.settings->engines[0].url, "http://127.0.0.1:8000/v1");
  EXPECT_THAT(names(*made.settings), ElementsAre("*@engine"));

  const Embedded other = good({.docs_dir = {}, .engine_url = "http://a/openai/"}, {});
  EXPECT_EQ(other.settings->engines[0].url, "http://a/openai") << "a path is left alone";
}

TEST_F(EmbeddedDefaults, KeepTheDocumentsBesideAnEngineWhereTheyExist) {
  std::filesystem::create_directory("docs");
  const Embedded made = good({.docs_dir = {}, .engine_url = "http://a/v1"}, {});
  EXPECT_THAT(names(*made.settings), ElementsAre("handbook@handbook", "*@engine"));
}

TEST_F(EmbeddedDefaults, KeepDocumentsThatWereAskedForSoThatTheirAbsenceIsTold) {
  const Embedded made = good({.docs_dir = "missing", .engine_url = "http://a/v1"}, {});
  EXPECT_THAT(names(*made.settings), ElementsAre("handbook@handbook", "*@engine"));
}

TEST_F(EmbeddedDefaults, TakeTheVendorWhoseKeyIsSet) {
  const Embedded made = good({}, {{"OPENAI_API_KEY", "sk-1"}});
  ASSERT_EQ(made.settings->engines.size(), 1u);
  EXPECT_EQ(made.settings->engines[0].url, "https://api.openai.com/v1");
  EXPECT_EQ(made.settings->engines[0].api_key, "sk-1");
  EXPECT_THAT(names(*made.settings), ElementsAre("*@openai"));
  EXPECT_EQ(good({}, {{"OPENAI_API_KEY", ""}}).settings->engines[0].name, "handbook");
}

TEST_F(EmbeddedDefaults, TakeTheBaseUrlOfTheSdksForTheirKey) {
  const auto url = [](const std::string& base) {
    return good({}, {{"OPENAI_API_KEY", "sk-1"}, {"OPENAI_BASE_URL", base}})
        .settings->engines[0]
        .url;
  };
  EXPECT_EQ(url("https://api.mistral.ai/v1/"), "https://api.mistral.ai/v1");
  EXPECT_EQ(url("http://127.0.0.1:9000"), "http://127.0.0.1:9000/v1");
  EXPECT_EQ(url(""), "https://api.openai.com/v1");
  EXPECT_THAT(bad({}, {{"OPENAI_API_KEY", "sk-1"}, {"OPENAI_BASE_URL", "gpu:9000"}}),
              ElementsAre(testing::StartsWith("OPENAI_BASE_URL: ")));
}

TEST_F(EmbeddedDefaults, TakeNoBaseUrlThatIsTheGatewaysOwn) {
  const Embedded made = good({}, {{"OPENAI_API_KEY", "sk-1"},
                                  {"OPENAI_BASE_URL", "http://localhost:9000/v1"},
                                  {"PORT", "9000"}});
  EXPECT_EQ(made.settings->engines[0].url, "https://api.openai.com/v1");
  EXPECT_THAT(made.warnings, ElementsAre("OPENAI_BASE_URL is where this gateway itself listens: it "
                                         "is for the applications, and the engine is "
                                         "https://api.openai.com/v1"));
  EXPECT_THAT(good({}, {{"OPENAI_BASE_URL", "http://127.0.0.1:8080/v1"}}).warnings, IsEmpty());
}

TEST_F(EmbeddedDefaults, TakeNoBaseUrlWithoutItsKey) {
  const Embedded made = good({}, {{"OPENAI_BASE_URL", "http://127.0.0.1:9000/v1"}});
  EXPECT_EQ(made.settings->engines[0].name, "handbook");
  EXPECT_THAT(made.warnings, ElementsAre("OPENAI_BASE_URL is set, but OPENAI_API_KEY is not: "
                                         "ignored; for an engine that wants no key take --engine"));
}

TEST_F(EmbeddedDefaults, NeverSendTheVendorsKeyToAnotherEngine) {
  const Embedded made =
      good({.docs_dir = {}, .engine_url = "http://a/v1"}, {{"OPENAI_API_KEY", "sk-1"}});
  ASSERT_EQ(made.settings->engines.size(), 1u);
  EXPECT_EQ(made.settings->engines[0].api_key, "");
  EXPECT_THAT(made.warnings, ElementsAre("OPENAI_API_KEY is set, but --engine says where to ask: "
                                         "the key is not used"));
}

TEST_F(EmbeddedDefaults, RefuseAnEngineThatIsTheGatewayItself) {
  const Overrides self{.docs_dir = {}, .engine_url = "http://127.0.0.1:8080/v1"};
  EXPECT_THAT(bad(self, {}),
              ElementsAre("--engine: is where this gateway itself listens (127.0.0.1:8080): it "
                          "would ask itself; expected the engine's own URL, or another PORT for "
                          "this gateway"));
  EXPECT_EQ(good(self, {{"PORT", "9000"}}).settings->engines[0].url, "http://127.0.0.1:8080/v1");
}

TEST_F(EmbeddedDefaults, TakeThePort) {
  EXPECT_EQ(good({}, {{"PORT", "0"}}).settings->admin.address.port, 0);
  EXPECT_EQ(good({}, {{"PORT", "9000"}}).settings->admin.address.port, 8081);
  EXPECT_EQ(good({}, {{"PORT", "9000"}}).settings->listen.address, (Address{"127.0.0.1", 9000}));
  EXPECT_THAT(bad({}, {{"PORT", "http"}}),
              ElementsAre("PORT: cannot be \"http\"; expected a number from 0 to 65535"));
  EXPECT_THAT(bad({}, {{"PORT", "8081"}}),
              ElementsAre("PORT: listen.address and admin.address are both 127.0.0.1:8081; "
                          "expected another port"));
}

TEST_F(EmbeddedDefaults, WarnOfVariablesThatCannotBeHonoured) {
  const Embedded made = good({}, {{"ANTHROPIC_API_KEY", "x"}});
  EXPECT_THAT(made.warnings,
              ElementsAre("ANTHROPIC_API_KEY is set, but this version has no engine for "
                          "Anthropic's API: ignored"));
}

TEST_F(EmbeddedDefaults, TakeTheDatabaseRedisAndTheSecretFromTheEnvironment) {
  const Embedded made = good({}, {{"REDIS_URL", "redis://a:6379/1"},
                                  {"DATABASE_URL", "postgresql://u:p@a/d"},
                                  {"PENSTOCK_SECRET", "s"}});
  EXPECT_THAT(made.warnings, IsEmpty());
  EXPECT_EQ(made.settings->store.url, "postgresql://u:p@a/d");
  EXPECT_THAT(made.settings->cache.redis.urls, ElementsAre("redis://a:6379/1"));
  EXPECT_EQ(made.settings->secret, "s");
  EXPECT_THAT(bad({}, {{"DATABASE_URL", "mysql://u:p@a/d"}}),
              ElementsAre("DATABASE_URL: its value cannot be used; expected sqlite:PATH or "
                          "postgresql://user@host/db"));
  EXPECT_THAT(bad({}, {{"REDIS_URL", "http://a"}}),
              ElementsAre("REDIS_URL: is no Redis that can be used; expected redis://host:6379/0"));
}

TEST_F(EmbeddedDefaults, SayWhatIsWrongWithTheCommandLine) {
  EXPECT_THAT(bad({.docs_dir = {}, .engine_url = "gpu:8000"}, {}),
              ElementsAre("--engine: cannot be \"gpu:8000\": http:// or https:// is missing; "
                          "expected a URL such as https://engine.example/v1"));
  EXPECT_THAT(bad({.docs_dir = {}, .engine_url = ""}, {}), testing::SizeIs(1));
  const std::vector<std::string> key = bad({}, {{"OPENAI_API_KEY", "canary 1"}});
  ASSERT_EQ(key.size(), 1u);
  EXPECT_THAT(key[0], testing::StartsWith("OPENAI_API_KEY: its value cannot be used"));
  EXPECT_THAT(key[0], testing::Not(testing::HasSubstr("canary")));
}

}  // namespace
}  // namespace penstock::settings
