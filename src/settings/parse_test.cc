// Files, good and bad: what they mean, and what is said of them where.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "settings/settings.h"
#include "settings/table.h"
#include "settings/testing.h"

namespace penstock::settings {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

Settings good(std::string_view yaml, const Environment& environment = variables()) {
  const Result<SettingsPtr, Problems> parsed = parse(yaml, "f", environment);
  EXPECT_THAT(problems_of(yaml, environment), IsEmpty());
  return parsed ? **parsed : Settings{};
}

// A file that is gone with the test.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view text) { std::ofstream(path_, std::ios::binary) << text; }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = std::filesystem::temp_directory_path() /
                      ("settings_test." + std::to_string(::getpid()) + "." +
                       testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST(Parse, AnEmptyFileIsTheDocumentsEngineOnLoopback) {
  for (const char* yaml : {"", "# nothing\n", "---\n", "listen:\nengines:\nmodels:\ncache:\n"}) {
    const Settings settings = good(yaml);
    ASSERT_EQ(settings.engines.size(), 1u) << yaml;
    EXPECT_EQ(settings.engines[0].name, "handbook");
    EXPECT_EQ(settings.engines[0].kind, EngineKind::documents);
    EXPECT_EQ(settings.engines[0].path, "./docs");
    ASSERT_EQ(settings.models.size(), 1u);
    EXPECT_EQ(settings.models[0].name, "handbook");
    EXPECT_TRUE(settings.listen.address.loopback());
  }
}

TEST(Parse, AFileThatSpellsOutEveryDefaultIsAnEmptyFile) {
  const Settings spelled_out = good(R"(
listen:
  address: 127.0.0.1:8080
  workers: auto
  limits:
    connections: 50000
    header_bytes: 32KiB
    headers: 100
    body_bytes: 32MiB
    first_header: 10s
    body: 30s
    write_stall: 30s
    idle: 5m
    drain: 30s
    drain_delay: 5s
  compression: {encodings: [zstd, br, gzip], min_bytes: 1KiB}
admin:
  address: 127.0.0.1:8081
  token: ""
engines:
  - name: handbook
    kind: documents
    path: ./docs
    timeout: {total: 10m}
models:
  - name: handbook
    engines: [handbook]
    upstream_name: ""
    aliases: []
cache:
  answers: safe
  memory: {size: 256MiB, policy: s3fifo, max_entry: 4MiB}
  redis: {tracking: true, compress_over: 1KiB}
  ttl: {default: 1h, jitter: 10%, negative: 0s}
  stale: {while_revalidate: 1m, if_error: 1h}
  early_refresh: 1.0
  coalesce: true
  warm: {file: "", concurrency: 4}
features: {caching: true, redis_caching: true}
auth:
  mode: none
  allow_anonymous: false
metrics: {path: /metrics, max_label_values: 200}
logging: {level: info, format: auto, access: errors}
)");
  EXPECT_EQ(spelled_out, good(""));
}

TEST(Parse, EnginesThatSpellOutEveryDefaultAreShortOnes) {
  const Settings spelled_out = good(R"(
engines:
  - name: gpu-a
    kind: openai
    url: https://gpu-a.example:8000/v1
    api_key: ""
    auth: bearer
    headers: {}
    query: {}
    tls: {ca: ""}
    connections: {max: 256, idle: 60s, connect_timeout: 2s}
    timeout: {first_token: 120s, between_tokens: 60s, total: 10m}
    health: {path: "", interval: 5s, timeout: 1s, healthy_after: 2, unhealthy_after: 3}
  - name: fake
    kind: simulated
    simulated:
      seed: 1
      first_token: 200ms
      first_token_sigma: 0.4
      tokens_per_second: 50
      tokens: 200
      errors: 0%
      stalls: 0%
      disconnects: 0%
      rate_limited: 0%
      slots: 64
      queue: 256
models:
  - {name: a, engines: [gpu-a]}
)");
  EXPECT_EQ(spelled_out, good(R"(
engines:
  - {name: gpu-a, kind: openai, url: "https://gpu-a.example:8000/v1"}
  - {name: fake, kind: simulated}
models:
  - {name: a, engines: [gpu-a]}
)"));
}

TEST(Parse, EveryValueArrivesInItsPlace) {
  const Settings s = good(R"(
listen:
  address: "[::1]:9090"
  workers: 3
  limits: {connections: 7, header_bytes: 2KiB, headers: 8, body_bytes: 1MiB, first_header: 1s,
           body: 2s, write_stall: 3s, idle: 4s, drain: 5s, drain_delay: 6s}
  compression: {encodings: [br], min_bytes: 32KiB}
admin: {address: "0.0.0.0:9091", token: t0ken}
engines:
  - name: gpu
    kind: openai
    url: http://gpu/v1/
    api_key: key
    auth: api-key
    headers: {X-Region: eu, x-n: 5}
    query: {api-version: "2024-10-21"}
    tls: {ca: /etc/ca.pem}
    connections: {max: 9, idle: 10s, connect_timeout: 11s}
    timeout: {first_token: 12s, between_tokens: 13s, total: 14s}
    health: {path: /ready, interval: 15s, timeout: 16s, healthy_after: 17, unhealthy_after: 18}
  - name: fake
    kind: simulated
    simulated: {seed: 15, first_token: 16ms, first_token_sigma: 1.7, tokens_per_second: 18,
                tokens: 19, errors: 20%, stalls: 21%, disconnects: 22%, rate_limited: 23%,
                slots: 24, queue: 25}
models:
  - {name: big, engines: [gpu], upstream_name: meta/Big, aliases: [large, huge],
     cache: {ttl: 33s, answers: off}}
  - {name: "*", engines: [fake]}
ejection: {consecutive: 19}
cache:
  answers: all
  memory: {size: 2MiB, policy: lru, max_entry: 1MiB}
  redis: {tracking: false, compress_over: 32KiB}
  ttl: {default: 2h, jitter: 26%, negative: 28s}
  stale: {while_revalidate: 29s, if_error: 30s}
  early_refresh: 3.1
  coalesce: false
  warm: {file: q.jsonl, popular: 36, concurrency: 31}
  semantic: {enabled: true, embedding_model: big, threshold: 0.9, size: 34, max_turns: 35, path: /s}
features: {caching: false, redis_caching: false, prometheus_metrics: false}
auth: {mode: none, allow_anonymous: true}
metrics: {path: /m, exemplars: false, max_label_values: 27, tenants: [acme]}
logging: {level: debug, format: json, access: all}
)");
  EXPECT_EQ(s.listen.address, (Address{"::1", 9090}));
  EXPECT_EQ(s.listen.workers, 3u);
  const Listen::Limits limits{7, kib(2), 8, mib(1), 1s, 2s, 3s, 4s, 5s, 6s};
  EXPECT_EQ(s.listen.limits, limits);
  EXPECT_EQ(s.listen.compression, (Listen::Compression{{"br"}, kib(32)}));
  EXPECT_EQ(s.admin, (Admin{{"0.0.0.0", 9091}, "t0ken"}));
  ASSERT_EQ(s.engines.size(), 2u);
  const EngineSettings& gpu = s.engines[0];
  EXPECT_EQ(gpu.kind, EngineKind::openai);
  EXPECT_EQ(gpu.url, "http://gpu/v1");
  EXPECT_EQ(gpu.api_key, "key");
  EXPECT_EQ(gpu.auth, EngineAuth::api_key);
  EXPECT_THAT(gpu.headers, ElementsAre(NamedValue{"x-region", "eu"}, NamedValue{"x-n", "5"}));
  EXPECT_THAT(gpu.query, ElementsAre(NamedValue{"api-version", "2024-10-21"}));
  EXPECT_EQ(gpu.tls.ca, "/etc/ca.pem");
  EXPECT_EQ(gpu.connections, (EngineSettings::Connections{9, 10s, 11s}));
  EXPECT_EQ(gpu.timeout, (EngineSettings::Timeout{12s, 13s, 14s}));
  EXPECT_EQ(gpu.health, (EngineSettings::Health{EngineSettings::Checks::automatic, "/ready", 15s,
                                                16s, 17, 18}));
  EXPECT_EQ(s.engines[1].kind, EngineKind::simulated);
  EXPECT_EQ(s.engines[1].simulated,
            (EngineSettings::Simulated{15, 16ms, 1.7, 18, 19, 0.2, 0.21, 0.22, 0.23, 24, 25}));
  EXPECT_EQ(s.ejection, Ejection{19});
  ASSERT_EQ(s.models.size(), 2u);
  EXPECT_EQ(
      s.models[0],
      (ModelSettings{"big", {"gpu"}, "meta/Big", {"large", "huge"}, {33s, CacheAnswers::off}}));
  EXPECT_EQ(s.models[1].name, "*");
  Cache::Redis redis;
  redis.tracking = false;
  redis.compress_over = kib(32);
  EXPECT_EQ(s.cache, (Cache{.answers = CacheAnswers::all,
                            .memory = {mib(2), CachePolicy::lru, mib(1)},
                            .ttl = {2h, 0.26, 28s},
                            .stale = {29s, 30s},
                            .early_refresh = 3.1,
                            .coalesce = false,
                            .scope = Scope::tenant,
                            .redis = redis,
                            .warm = {"q.jsonl", 36, 31},
                            .semantic = {true, "big", 0.9, 34, 35, "/s"}}));
  EXPECT_EQ(s.features, (Features{false, false, false}));
  EXPECT_TRUE(s.auth.allow_anonymous);
  EXPECT_EQ(s.metrics, (Metrics{"/m", false, 27, {"acme"}}));
  EXPECT_EQ(s.logging, (Logging{LogLevel::debug, LogFormat::json, AccessLog::all}));
}

TEST(Parse, EveryWordIsTheEnumeratorOfItsName) {
  EXPECT_EQ(good("cache: {answers: safe}").cache.answers, CacheAnswers::safe);
  EXPECT_EQ(good("cache: {answers: off}").cache.answers, CacheAnswers::off);
  EXPECT_EQ(good("cache: {memory: {policy: s3fifo}}").cache.memory.policy, CachePolicy::s3fifo);
  EXPECT_EQ(good("logging: {level: info}").logging.level, LogLevel::info);
  EXPECT_EQ(good("logging: {level: warn}").logging.level, LogLevel::warn);
  EXPECT_EQ(good("logging: {level: error}").logging.level, LogLevel::error);
  EXPECT_EQ(good("logging: {format: auto}").logging.format, LogFormat::automatic);
  EXPECT_EQ(good("logging: {format: text}").logging.format, LogFormat::text);
  EXPECT_EQ(good("logging: {access: none}").logging.access, AccessLog::none);
  EXPECT_EQ(good("logging: {access: errors}").logging.access, AccessLog::errors);
  const std::string engine = "engines: [{name: a, kind: openai, url: http://a, auth: ";
  EXPECT_EQ(good(engine + "bearer}]").engines[0].auth, EngineAuth::bearer);
  EXPECT_EQ(good(engine + "none}]").engines[0].auth, EngineAuth::none);
}

TEST(Parse, AMisspeltKeyNamesTheNearestBesideIt) {
  EXPECT_THAT(problems_of("listen:\n  adress: 127.0.0.1:1\n"),
              ElementsAre("f:2:3: listen.adress: no such key; did you mean \"address\"?"));
  EXPECT_THAT(problems_of("loging: {}\n"),
              ElementsAre("f:1:1: loging: no such key; did you mean \"logging\"?"));
}

TEST(Parse, AKeyInTheWrongPlaceIsToldTheRightOne) {
  EXPECT_THAT(problems_of("header_bytes: 1KiB\n"),
              ElementsAre("f:1:1: header_bytes: no such key; did you mean "
                          "\"listen.limits.header_bytes\"?"));
  EXPECT_THAT(problems_of("xyzzyplugh: 1\n"), ElementsAre("f:1:1: xyzzyplugh: no such key"));
}

TEST(Parse, AKeyThatIsRefusedItselfIsNotSuggested) {
  EXPECT_THAT(problems_of("quux: 1\n"), ElementsAre("f:1:1: quux: no such key"));
  EXPECT_THAT(problems_of("listen: {htp2: true}\n"),
              ElementsAre("f:1:10: listen.htp2: no such key"));
}

TEST(Parse, TakesNoneForNoLimit) {
  const std::string none =
      "listen: {limits: {connections: none, headers: none, first_header: none, body: none, "
      "write_stall: none, idle: none, drain: none}}";
  const auto parsed = parse(none, "f", variables());
  ASSERT_TRUE(parsed) << to_string(parsed.error().front());
  const Listen::Limits& limits = (*parsed)->listen.limits;
  EXPECT_EQ(limits.connections, 4294967295u);
  EXPECT_EQ(limits.headers, 4294967295u);
  for (const Duration one :
       {limits.first_header, limits.body, limits.write_stall, limits.idle, limits.drain}) {
    EXPECT_GT(one, 24h * 365);
    EXPECT_LT(Clock::now(), Clock::now() + one) << "sums stay in range";
  }
  const auto again = parse(describe(**parsed), "again", variables());
  ASSERT_TRUE(again) << to_string(again.error().front());
  EXPECT_EQ(**again, **parsed);
  EXPECT_THAT(problems_of("listen: {limits: {drain_delay: none}}"), testing::SizeIs(1));
}

TEST(Parse, APathIsNoKey) {
  EXPECT_THAT(problems_of("listen.address: 127.0.0.1:1\n"),
              ElementsAre(StartsWith("f:1:1: listen.address: no such key")));
}

TEST(Parse, AllProblemsAreToldInTheOrderOfTheFile) {
  EXPECT_THAT(
      problems_of("logging: {level: loud}\n"
                  "admin: {address: 0.0.0.0:1}\n"
                  "cahce: {}\n"
                  "listen: {workers: 0}\n"),
      ElementsAre(StartsWith("f:1:18: logging.level: "), StartsWith("f:2:18: admin.address: "),
                  StartsWith("f:3:1: cahce: "), StartsWith("f:4:19: listen.workers: ")));
}

TEST(Parse, AFloodOfProblemsIsCutAndCounted) {
  std::string yaml;
  for (int i = 0; i < 1000; ++i) yaml += "x" + std::to_string(i) + ": 1\n";
  const std::vector<std::string> problems = problems_of(yaml);
  EXPECT_EQ(problems.size(), 201u);
  EXPECT_THAT(problems.back(), HasSubstr("and 800 further problems"));
}

TEST(Parse, EachTypeOfValueSaysWhatItExpects) {
  EXPECT_THAT(problems_of("cache: {coalesce: yes}"),
              ElementsAre("f:1:19: cache.coalesce: cannot be \"yes\"; expected true or false"));
  EXPECT_THAT(
      problems_of("listen: {workers: many}"),
      ElementsAre("f:1:19: listen.workers: cannot be \"many\"; expected a whole number from "
                  "1 to 1024, or auto"));
  EXPECT_THAT(
      problems_of("listen: {limits: {body_bytes: 32}}"),
      ElementsAre("f:1:31: listen.limits.body_bytes: cannot be \"32\": the unit is missing; "
                  "expected a size such as 32KiB, from 1KiB to 4GiB"));
  EXPECT_THAT(problems_of("listen: {limits: {drain: 2h}}"),
              ElementsAre("f:1:26: listen.limits.drain: cannot be \"2h\": it is too large; "
                          "expected a time such as 250ms or 10s, from 0 to 1h, or none"));
  EXPECT_THAT(problems_of("cache: {ttl: {jitter: 0.1}}"),
              ElementsAre("f:1:23: cache.ttl.jitter: cannot be \"0.1\": the % is missing; expected "
                          "a percentage such as 10%"));
  EXPECT_THAT(
      problems_of("listen: {address: 8080}"),
      ElementsAre("f:1:19: listen.address: cannot be \"8080\": the port is missing; expected "
                  "an address such as 127.0.0.1:8080 or [::1]:8080"));
  EXPECT_THAT(problems_of("cache: {answers: saef}"),
              ElementsAre("f:1:18: cache.answers: cannot be \"saef\"; expected safe, all or off; "
                          "did you mean \"safe\"?"));
  EXPECT_THAT(problems_of("engines: [{name: a b, kind: simulated}]"),
              ElementsAre("f:1:18: engines[0].name: cannot be \"a b\"; expected a name of letters, "
                          "digits, \".\", \"_\" and \"-\", at most 64"));
  EXPECT_THAT(
      problems_of("engines: [{name: a, kind: openai, url: 'a:80'}]"),
      ElementsAre("f:1:40: engines[0].url: cannot be \"a:80\": http:// or https:// is missing; "
                  "expected a URL such as https://engine.example/v1"));
  EXPECT_THAT(
      problems_of("engines: [{name: a, kind: simulated, simulated: {tokens_per_second: x}}]"),
      ElementsAre(HasSubstr("cannot be \"x\"; expected a number from 0.001 to 1000000")));
  EXPECT_THAT(
      problems_of("metrics: {path: m}"),
      ElementsAre("f:1:17: metrics.path: cannot be \"m\"; expected a path such as /metrics"));
}

TEST(Parse, AWrongKindOfNodeIsNamed) {
  EXPECT_THAT(problems_of("listen: 8080"),
              ElementsAre("f:1:9: listen: is a single value here; expected a mapping (`key: value` "
                          "lines)"));
  EXPECT_THAT(problems_of("listen: [a]"), ElementsAre(StartsWith("f:1:9: listen: is a list here")));
  EXPECT_THAT(problems_of("listen: {address: {a: 1}}"),
              ElementsAre(StartsWith("f:1:19: listen.address: is a mapping here")));
  EXPECT_THAT(problems_of("listen:\n  address:\n  workers: 1\n"),
              ElementsAre(StartsWith("f:2:3: listen.address: has no value; expected an address")));
  EXPECT_THAT(problems_of("engines: {a: 1}"),
              testing::Contains(StartsWith("f:1:10: engines: is a mapping here; expected a list")));
  EXPECT_THAT(problems_of("engines: [a]"),
              ElementsAre(StartsWith("f:1:11: engines[0]: is a single value here")));
  EXPECT_THAT(
      problems_of("models: [{name: a, engines: handbook}]"),
      ElementsAre(StartsWith("f:1:29: models[0].engines: is a single value here; expected a "
                             "list of texts")));
  EXPECT_THAT(problems_of("models: [{name: a, engines: [handbook], aliases: [[x]]}]"),
              ElementsAre(StartsWith("f:1:51: models[0].aliases[0]: is a list here")));
  EXPECT_THAT(problems_of("- a\n"), ElementsAre(StartsWith("f:1:1: the file is a list here")));
  EXPECT_THAT(problems_of("a\n"),
              ElementsAre(StartsWith("f:1:1: the file is a single value here")));
}

TEST(Parse, WhatIsNeededAndMissingIsNamed) {
  EXPECT_THAT(problems_of("engines:\n  - name: a\n"),
              ElementsAre("f:2:5: engines[0]: `kind` is missing; expected documents, openai or "
                          "simulated"));
  EXPECT_THAT(problems_of("models:\n  - aliases: [x]\n"),
              ElementsAre(StartsWith("f:2:5: models[0]: `name` is missing"),
                          StartsWith("f:2:5: models[0]: `engines` is missing")));
}

TEST(Parse, EveryKeyToComeIsRefusedByNameWhateverItsValue) {
  std::size_t refused = 0;
  for (const Key& key : table()) {
    const Key* around = find(key.parent());
    if (key.later.empty() || (around != nullptr && !around->later.empty())) continue;
    if (key.parent().ends_with("[]") && key.parent() != "engines[]" && key.parent() != "models[]") {
      continue;  // in a list that is itself to come
    }
    // The sections around it, one in another, in flow style.
    std::string yaml = std::string(key.leaf()) + ": ~";
    std::string_view parent = key.parent();
    std::string path = std::string(key.path);
    while (!parent.empty()) {
      const std::size_t dot = parent.rfind('.');
      std::string_view name = dot == parent.npos ? parent : parent.substr(dot + 1);
      parent = dot == parent.npos ? std::string_view{} : parent.substr(0, dot);
      if (name.ends_with("[]")) {
        name.remove_suffix(2);
        const char* rest = name == "engines" ? "name: a, kind: openai, url: http://a"
                                             : "name: a, engines: [handbook]";
        yaml = std::string(name) + ": [{" + rest + ", " + yaml + "}]";
        path.replace(path.find("[]"), 2, "[0]");
      } else {
        yaml = std::string(name) + ": {" + yaml + "}";
      }
    }
    EXPECT_THAT(problems_of(yaml),
                ElementsAre(testing::EndsWith(": " + path +
                                              ": not in this version: " + std::string(key.later))))
        << yaml;
    ++refused;
  }
  EXPECT_GT(refused, 20u);
  EXPECT_THAT(problems_of("listen: {http2: true}"),
              ElementsAre("f:1:10: listen.http2: not in this version: HTTP/2 is still to come"));
}

TEST(Parse, AWordToComeIsRefusedByName) {
  EXPECT_THAT(problems_of("engines: [{name: c, kind: anthropic}]"),
              ElementsAre("f:1:27: engines[0].kind: \"anthropic\" is not in this version: the "
                          "Anthropic Messages API is still to come"));
}

TEST(Parse, VariablesAreTakenFromTheEnvironment) {
  const Environment environment = variables(
      {{"KEY", "sk-1"}, {"EMPTY", ""}, {"ADDR", "127.0.0.1"}, {"W", "4"}, {"D", "${KEY}"}});
  EXPECT_EQ(good("admin: {token: \"${KEY}\"}", environment).admin.token, "sk-1");
  EXPECT_EQ(good("admin: {token: \"a${KEY}b${KEY}\"}", environment).admin.token, "ask-1bsk-1");
  EXPECT_EQ(good("listen:\n  address: ${ADDR}:${PORT:-81}\n", environment).listen.address,
            (Address{"127.0.0.1", 81}));
  EXPECT_EQ(good("listen: {workers: \"${W}\"}", environment).listen.workers, 4u);
  EXPECT_EQ(good("admin: {token: \"${EMPTY}\"}", environment).admin.token, "");
  EXPECT_EQ(good("admin: {token: \"${EMPTY:-x}\"}", environment).admin.token, "x");
  EXPECT_EQ(good("admin: {token: \"${NONE:-}\"}", environment).admin.token, "");
  EXPECT_EQ(good("admin: {token: \"${D}\"}", environment).admin.token, "${KEY}") << "only once";
  EXPECT_EQ(good("admin: {token: \"$${KEY}\"}", environment).admin.token, "${KEY}");
  EXPECT_EQ(good("admin: {token: \"a$b$\"}", environment).admin.token, "a$b$");
  EXPECT_EQ(good("models: [{name: a, engines: [\"${E:-handbook}\"]}]").models[0].engines[0],
            "handbook");
}

TEST(Parse, AVariableThatIsNotSetIsAnErrorThatSaysSo) {
  EXPECT_THAT(problems_of("admin:\n  token: ${NONE}\n"),
              ElementsAre("f:2:10: admin.token: the environment variable NONE is not set"));
  EXPECT_THAT(
      problems_of("admin:\n  token: ${A-B}\n"),
      ElementsAre(HasSubstr("a ${...} in it is no ${NAME}, ${NAME:-default} or ${file:/path}")));
  EXPECT_THAT(problems_of("admin:\n  token: ${A\n"),
              ElementsAre("f:2:10: admin.token: the } of a ${ is missing"));
}

TEST(Parse, AFileIsReadWithoutItsLastNewline) {
  const TemporaryFile secret("s3cret\n");
  EXPECT_EQ(good("admin:\n  token: ${file:" + secret.path() + "}\n").admin.token, "s3cret");
  EXPECT_THAT(problems_of("admin:\n  token: ${file:/nowhere/x}\n"),
              ElementsAre("f:2:10: admin.token: \"/nowhere/x\": No such file or directory"));
  EXPECT_THAT(problems_of("admin:\n  token: ${file:/}\n"),
              ElementsAre(HasSubstr("\"/\": Is a directory")));
}

TEST(Parse, SecretsAndWhatComesFromOutsideAreNotRepeated) {
  const Environment environment = variables({{"KEY", "canary 1"}});
  for (const char* yaml : {"admin: {token: canary 1}", "listen: {workers: \"${KEY}\"}",
                           "engines: [{name: a, kind: openai, url: http://a, api_key: \"${KEY}\"}]",
                           "engines: [{name: a, kind: openai, url: http://a, headers: {a: \"canary "
                           "1\\n\"}}]"}) {
    const std::vector<std::string> problems = problems_of(yaml, environment);
    ASSERT_EQ(problems.size(), 1u) << yaml;
    EXPECT_THAT(problems[0], HasSubstr("its value cannot be used"));
    EXPECT_THAT(problems[0], testing::Not(HasSubstr("canary")));
  }
}

TEST(Parse, RegressionNoMessageShowsWhatMayBeASecret) {
  const Environment environment = variables({{"KEY", "canary"}});
  const std::string openai = "engines: [{name: a, kind: openai, url: http://a, ";
  const std::string url = "engines: [{name: a, kind: openai, url: ";
  for (const std::string& yaml : {
           url + "\"http://me:canary@host/v1\"}]",
           url + "\"http://me:ca/canary@host/v1\"}]",
           url + "\"http://me:ca#canary@host/v1\"}]",
           url + "\"me:canary@host\"}]",
           url + "\"http://host/v1?key=canary\"}]",
           std::string("listen: {address: \"http://me:canary@127.0.0.1:1\"}"),
           openai + "auth: Bearer canary}]",
           openai + "query: {key: \"canary\\n\"}}]",
           openai + "api_key: \"${1:-canary}\"}]",
           openai + "api_key:canary}]",
           openai + "headers: {authorization:Bearer canary}}]",
           openai + "headers: {\"authorization: Bearer canary\": x}}]",
           openai + "query: {key:canary}}]",
           std::string("admin: {token: !canary }"),
           std::string("admin: {token: *canary }"),
           std::string("models: [{name: a, engines: [\"${KEY}\"]}]"),
       }) {
    const std::vector<std::string> problems = problems_of(yaml, environment);
    ASSERT_FALSE(problems.empty()) << yaml;
    for (const std::string& problem : problems) {
      EXPECT_THAT(problem, testing::Not(HasSubstr("canary"))) << yaml;
    }
  }
  EXPECT_THAT(problems_of(url + "\"http://me:canary@host/v1\"}]"),
              ElementsAre(HasSubstr("cannot be \"http://***@host/v1\": it has a user or password: "
                                    "those go into `api_key` or `headers`")));
}

TEST(Parse, TheMetricsHideNothingOfTheAdminListener) {
  for (const char* path : {"/", "/health", "/health/readiness", "/livez", "/readyz", "/startupz",
                           "/status.js", "/admin/v1/status", "/debug/pprof/heap"}) {
    EXPECT_THAT(problems_of(std::string("metrics: {path: ") + path + "}"),
                ElementsAre(HasSubstr("the admin listener has something else there")))
        << path;
  }
  for (const char* path : {"/metrics", "/m/health", "/healthy", "/administration"}) {
    EXPECT_THAT(problems_of(std::string("metrics: {path: ") + path + "}"), IsEmpty()) << path;
  }
}

TEST(Parse, HealthIsAWordOrAMapping) {
  const auto health = [](const std::string& value) {
    return good("engines: [{name: a, kind: openai, url: 'http://a/v1', health: " + value + "}]")
        .engines[0]
        .health;
  };
  EXPECT_EQ(health("auto"), EngineSettings::Health{});
  EXPECT_EQ(health("off").checks, EngineSettings::Checks::off);
  EXPECT_EQ(health("{interval: 1s}").interval, 1s);
  const auto problems = [](const std::string& value) {
    return problems_of("engines: [{name: a, kind: openai, url: 'http://a/v1', health: " + value +
                       "}]");
  };
  EXPECT_THAT(problems("of"), ElementsAre(HasSubstr("did you mean \"off\"?")));
  EXPECT_THAT(problems("[auto]"), ElementsAre(HasSubstr("is a list here")));
  EXPECT_THAT(problems("{path: ready}"), ElementsAre(HasSubstr("does not begin with `/`")));
  EXPECT_THAT(problems("{path: \"/a b\"}"), ElementsAre(HasSubstr("it has spaces")));
  EXPECT_THAT(problems("{unhealthy_after: 0}"), ElementsAre(HasSubstr("too small")));
}

TEST(Parse, AFileOnDiskIsReadAndNamed) {
  const TemporaryFile file("listen: {workers: 0}\n");
  const auto bad = load_file(file.path(), variables());
  ASSERT_FALSE(bad);
  EXPECT_FALSE(bad.error().unreadable);
  ASSERT_EQ(bad.error().problems.size(), 1u);
  EXPECT_THAT(to_string(bad.error().problems[0]),
              StartsWith(file.path() + ":1:19: listen.workers"));

  const TemporaryFile empty("");
  EXPECT_TRUE(load_file(empty.path(), variables()));
}

TEST(Parse, AFileThatCannotBeReadSaysWhy) {
  const auto missing = load_file("/nowhere/penstock.yaml", variables());
  ASSERT_FALSE(missing);
  EXPECT_TRUE(missing.error().unreadable);
  EXPECT_EQ(to_string(missing.error().problems.at(0)),
            "/nowhere/penstock.yaml: cannot be read: No such file or directory");
  const auto folder = load_file("/", variables());
  ASSERT_FALSE(folder);
  EXPECT_TRUE(folder.error().unreadable);
}

}  // namespace
}  // namespace penstock::settings
