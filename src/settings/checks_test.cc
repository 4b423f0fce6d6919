#include "settings/checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "settings/testing.h"

namespace penstock::settings {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Checks, OffLoopbackWithoutAuthenticationIsRefusedUnlessAllowed) {
  EXPECT_THAT(problems_of("listen:\n  address: 0.0.0.0:80\n"),
              ElementsAre("f:2:12: listen.address: not a loopback address, and auth.mode is none: "
                          "anyone who reaches it could ask; expected 127.0.0.1, or "
                          "auth.allow_anonymous: true to allow it"));
  EXPECT_THAT(problems_of("listen: {address: \"[::]:80\"}"), testing::SizeIs(1));
  EXPECT_THAT(problems_of("listen: {address: 0.0.0.0:80}\nauth: {allow_anonymous: true}\n"),
              IsEmpty());
  EXPECT_THAT(problems_of("listen: {address: \"[::1]:80\"}"), IsEmpty());
}

TEST(Checks, AnAdminListenerOffLoopbackNeedsAToken) {
  EXPECT_THAT(problems_of("admin: {address: 0.0.0.0:81}"),
              ElementsAre("f:1:18: admin.address: not a loopback address, and admin.token is not "
                          "set; expected 127.0.0.1, or an admin.token"));
  EXPECT_THAT(problems_of("admin: {address: 0.0.0.0:81, token: x}"), IsEmpty());
  EXPECT_THAT(problems_of("admin: {address: 0.0.0.0:81, token: \"\"}"), testing::SizeIs(1));
}

TEST(Checks, TheTwoListenersNeedTwoAddresses) {
  EXPECT_THAT(problems_of("listen: {address: 127.0.0.1:8081}"),
              ElementsAre("f:1:19: listen.address: listen.address and admin.address are both "
                          "127.0.0.1:8081"));
  EXPECT_THAT(problems_of("listen: {address: 127.0.0.1:0}\nadmin: {address: 127.0.0.1:0}"),
              IsEmpty());
}

TEST(Checks, AGatewayThatWouldAskItselfIsRefused) {
  const auto with = [](std::string_view address, std::string_view url) {
    return problems_of("auth: {allow_anonymous: true}\nlisten: {address: \"" +
                       std::string(address) + "\"}\nengines: [{name: a, kind: openai, url: \"" +
                       std::string(url) + "\"}]");
  };
  EXPECT_THAT(
      with("127.0.0.1:8080", "http://127.0.0.1:8080/v1"),
      ElementsAre("f:3:40: engines[0].url: is where this gateway itself listens "
                  "(127.0.0.1:8080): it would ask itself; expected the engine's own URL, or "
                  "another listen.address"));
  EXPECT_THAT(with("127.0.0.1:8080", "http://localhost:8080"), testing::SizeIs(1));
  EXPECT_THAT(with("0.0.0.0:8080", "http://127.0.0.1:8080/v1"), testing::SizeIs(1));
  EXPECT_THAT(with("[::]:8080", "http://[::1]:8080/v1"), testing::SizeIs(1));
  EXPECT_THAT(with("127.0.0.1:8080", "http://127.0.0.1:8000/v1"), IsEmpty());
  EXPECT_THAT(with("127.0.0.1:8080", "http://127.0.0.2:8080/v1"), IsEmpty());
  EXPECT_THAT(with("0.0.0.0:8080", "http://10.0.0.1:8080/v1"), IsEmpty());
  EXPECT_THAT(with("127.0.0.1:0", "http://127.0.0.1:1/v1"), IsEmpty());
}

TEST(Checks, EngineNamesAreUnique) {
  EXPECT_THAT(problems_of("engines:\n"
                          "  - {name: a, kind: simulated}\n"
                          "  - {name: a, kind: documents, path: x}\n"),
              ElementsAre("f:3:12: engines[1].name: \"a\" is the name of engines[0] too"));
}

TEST(Checks, AnEngineHasWhatItsKindNeedsAndNothingOfAnother) {
  EXPECT_THAT(problems_of("engines: [{name: a, kind: documents}]"),
              ElementsAre("f:1:11: engines[0]: `path` is missing; expected the folder of "
                          "documents"));
  EXPECT_THAT(problems_of("engines: [{name: a, kind: openai}]"),
              ElementsAre("f:1:11: engines[0]: `url` is missing; expected a URL such as "
                          "https://engine.example/v1"));
  EXPECT_THAT(problems_of("engines: [{name: a, kind: simulated, url: http://a}]"),
              ElementsAre("f:1:38: engines[0].url: is for engines of kind openai; this one is of "
                          "kind simulated"));
  EXPECT_THAT(problems_of("engines: [{name: a, kind: openai, url: http://a, simulated: {}}]"),
              ElementsAre(HasSubstr("engines[0].simulated: is for engines of kind simulated")));
  EXPECT_THAT(problems_of("engines: [{name: a, kind: openai, url: http://a, path: x}]"),
              ElementsAre(HasSubstr("engines[0].path: is for engines of kind documents")));
}

TEST(Checks, TimeoutsThatAnEngineDoesNotHaveAreRefusedWithTheCure) {
  const auto with = [](const std::string& kind, const std::string& timeout) {
    return problems_of("engines: [{name: a, " + kind + ", timeout: {" + timeout + "}}]");
  };
  EXPECT_THAT(with("kind: simulated", "first_token: 1s, total: 5s"),
              ElementsAre("f:1:48: engines[0].timeout.first_token: is for engines of kind openai; "
                          "this one is of kind simulated; expected timeout.total, which engines of "
                          "every kind have"));
  EXPECT_THAT(with("kind: documents, path: x", "between_tokens: 1s"),
              ElementsAre(HasSubstr("engines[0].timeout.between_tokens: is for engines of kind")));
  EXPECT_THAT(with("kind: openai, url: http://a", "first_token: 1s, between_tokens: 2s"),
              IsEmpty());
  EXPECT_THAT(with("kind: openai, url: http://a", "total: 1s}, simulated: {seed: 1, slots: 2"),
              testing::SizeIs(1));
}

TEST(Checks, TheSharesOfASimulatedEngineAreAtMostAll) {
  const auto with = [](const std::string& shares) {
    return problems_of("engines: [{name: a, kind: simulated, simulated: {" + shares + "}}]");
  };
  EXPECT_THAT(with("errors: 10%, stalls: 20%, disconnects: 30%, rate_limited: 40%"), IsEmpty());
  EXPECT_THAT(with("errors: 60%, stalls: 41%"),
              ElementsAre("f:1:49: engines[0].simulated: errors, stalls, disconnects and "
                          "rate_limited are over 100% together"));
}

TEST(Checks, AFileThatIsLoadedNamesWhatIsThere) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("checks_test." + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  const std::string file = folder / "f.yaml";
  const auto problems = [&](const std::string& path, const std::string& ca) {
    std::ofstream(file) << "engines:\n  - {name: a, kind: documents, path: " << path
                        << "}\n  - {name: b, kind: openai, url: https://b, tls: {ca: " << ca
                        << "}}\n";
    const auto loaded = load_file(file, variables());
    std::vector<std::string> lines;
    if (!loaded) {
      for (const Problem& problem : loaded.error().problems) lines.push_back(to_string(problem));
    }
    return lines;
  };
  EXPECT_THAT(problems(folder, file), IsEmpty());
  EXPECT_THAT(problems("/nowhere/docs", "/nowhere/ca.pem"),
              ElementsAre(file + ":2:38: engines[0].path: the folder \"/nowhere/docs\" cannot be "
                                 "read: No such file or directory",
                          file + ":3:55: engines[1].tls.ca: the file \"/nowhere/ca.pem\" cannot "
                                 "be read: No such file or directory"));
  EXPECT_THAT(problems(file, folder),
              ElementsAre(HasSubstr("Not a directory"), HasSubstr("Is a directory")));
  std::filesystem::remove_all(folder);
}

TEST(Checks, AnEmptyListOfEnginesIsAMistake) {
  EXPECT_THAT(problems_of("engines: []"),
              ElementsAre("f:1:10: engines: has no element; expected at least one engine, or no "
                          "`engines` at all"));
}

TEST(Checks, HeadersThatWouldBreakARequestAreRefused) {
  const auto with = [](const std::string& headers) {
    return problems_of("engines: [{name: a, kind: openai, url: http://a, headers: {" + headers +
                       "}}]");
  };
  EXPECT_THAT(with("x-a: b, accept: c"), IsEmpty());
  EXPECT_THAT(with("\"a b\": c"), ElementsAre(HasSubstr("no name that a header field can have")));
  EXPECT_THAT(with("Host: c"), ElementsAre(HasSubstr("is written by the gateway itself")));
  EXPECT_THAT(with("Transfer-Encoding: c"), testing::SizeIs(1));
  EXPECT_THAT(with("X-A: b, x-a: c"), ElementsAre(HasSubstr("stands twice")));
}

TEST(Checks, AModelNamesExactlyOneEngineThatExists) {
  const std::string engines =
      "engines:\n"
      "  - {name: gpu-a, kind: simulated}\n"
      "  - {name: gpu-b, kind: simulated}\n"
      "models:\n";
  EXPECT_THAT(problems_of(engines + "  - {name: m, engines: [gpu_b]}\n"),
              ElementsAre("f:5:25: models[0].engines[0]: no engine is named \"gpu_b\"; expected "
                          "gpu-a or gpu-b; did you mean \"gpu-b\"?"));
  EXPECT_THAT(problems_of(engines + "  - {name: m, engines: []}\n"),
              ElementsAre(HasSubstr("models[0].engines: names no engine")));
  EXPECT_THAT(problems_of(engines + "  - {name: m, engines: [gpu-a, gpu-b]}\n"),
              ElementsAre("f:5:24: models[0].engines: not in this version: several engines for one "
                          "model are still to come; expected the name of one engine, in a list"));
}

TEST(Checks, NamesAndAliasesOfModelsAreUnique) {
  const auto with = [](const std::string& models) { return problems_of("models:\n" + models); };
  EXPECT_THAT(with("  - {name: a, engines: [handbook]}\n  - {name: a, engines: [handbook]}\n"),
              ElementsAre("f:3:12: models[1].name: \"a\" stands in models[0].name too"));
  EXPECT_THAT(with("  - {name: a, engines: [handbook], aliases: [b]}\n"
                   "  - {name: b, engines: [handbook]}\n"),
              ElementsAre("f:3:12: models[1].name: \"b\" stands in models[0].aliases[0] too"));
  EXPECT_THAT(with("  - {name: a, engines: [handbook], aliases: [a]}\n"), testing::SizeIs(1));
}

TEST(Checks, EveryNameIsTakenAtMostOnceAndAsItIs) {
  const auto with = [](const std::string& models) { return problems_of("models:\n" + models); };
  EXPECT_THAT(
      with("  - {name: \"*\", engines: [handbook]}\n  - {name: \"*\", engines: [handbook]}\n"),
      ElementsAre("f:3:12: models[1].name: \"*\" stands in models[0].name too"));
  EXPECT_THAT(with("  - {name: \"*\", engines: [handbook], upstream_name: x}\n"),
              ElementsAre("f:2:38: models[0].upstream_name: has no meaning for `*`, which passes "
                          "every name on"));
  EXPECT_THAT(with("  - {name: \"*\", engines: [handbook], aliases: [x]}\n"), testing::SizeIs(1));
  EXPECT_THAT(with("  - {name: a, engines: [handbook], aliases: [\"*\"]}\n"),
              ElementsAre("f:2:46: models[0].aliases[0]: `*` is a name of its own, no alias"));
}

TEST(Checks, WithoutModelsEachEngineOffersItsOwn) {
  const auto parsed = parse(
      "engines:\n"
      "  - {name: docs, kind: documents, path: x}\n"
      "  - {name: gpu, kind: openai, url: http://gpu}\n",
      "f", variables());
  ASSERT_TRUE(parsed);
  ASSERT_EQ((*parsed)->models.size(), 2u);
  EXPECT_EQ((*parsed)->models[0], (ModelSettings{"docs", {"docs"}, "", {}}));
  EXPECT_EQ((*parsed)->models[1], (ModelSettings{"*", {"gpu"}, "", {}}));
}

TEST(Checks, WithoutModelsTwoEnginesThatTakeEveryNameAreAmbiguous) {
  EXPECT_THAT(
      problems_of("engines:\n  - {name: a, kind: simulated}\n  - {name: b, kind: simulated}\n"),
      ElementsAre("f:1:1: engines: several of these would take every name: say which "
                  "`models` they answer as"));
}

TEST(Checks, ASmallCacheTakesSmallEntriesUnlessToldOtherwise) {
  const auto parsed = parse("cache: {memory: {size: 2MiB}}", "f", variables());
  ASSERT_TRUE(parsed);
  EXPECT_EQ((*parsed)->cache.memory.max_entry, mib(2));
  EXPECT_THAT(problems_of("cache: {memory: {size: 2MiB, max_entry: 3MiB}}"),
              ElementsAre("f:1:41: cache.memory.max_entry: is larger than cache.memory.size"));
}

TEST(Checks, OneMistakeIsToldOnce) {
  EXPECT_THAT(problems_of("engines: [{name: a b, kind: opnai, url: x}]\n"
                          "models: [{name: m, engines: [a]}]\n"),
              ElementsAre(HasSubstr("engines[0].name"), HasSubstr("did you mean \"openai\"?"),
                          HasSubstr("engines[0].url")));
}

TEST(Checks, TheSemanticLevelNeedsAModelThatIsConfigured) {
  const auto with = [](std::string_view semantic) {
    return problems_of(
        "engines: [{name: a, kind: simulated}]\n"
        "models: [{name: small, engines: [a], aliases: [tiny]}]\n"
        "cache: {semantic: {" +
        std::string(semantic) + "}}");
  };
  EXPECT_THAT(with("enabled: true, embedding_model: tiny"), IsEmpty());
  EXPECT_THAT(with("enabled: false, embedding_model: nothing"), IsEmpty());
  EXPECT_THAT(with("enabled: true, embedding_model: smal"),
              ElementsAre(HasSubstr("cache.semantic.embedding_model: there is no model \"smal\"")));
  EXPECT_THAT(with("enabled: true"),
              ElementsAre(HasSubstr("needs cache.semantic.embedding_model")));
  EXPECT_THAT(with("enabled: true, embedding_model: tiny, threshold: 1.5"), testing::SizeIs(1));
}

}  // namespace
}  // namespace penstock::settings
