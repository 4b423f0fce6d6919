#include "engine/openai.h"

#include <gtest/gtest.h>

#include "http/client_testing.h"

namespace penstock::engine {
namespace {

using http::FakeEngine;
using http::Wire;

constexpr std::string_view kBody = R"({"model":"gpt","stream":true,"messages":[]})";

class OpenAiTest : public LoopTest {
 protected:
  OpenAiTest() {
    question.endpoint = Endpoint::chat;
    question.method = "POST";
    question.target = "/v1/chat/completions";
    question.content_type = "application/json";
    ask(kBody);
    settings.name = "gpu-a";
    settings.kind = settings::EngineKind::openai;
  }

  void ask(std::string_view body) {
    question.body = body;
    question.model = "gpt";
    const std::size_t at = body.find("\"gpt\"");
    question.model_at = {at, at + 5};
    question.members_at = 1;
  }

  void connect(std::uint16_t port, const std::string& path = "/v1") {
    http::Url url{false, "127.0.0.1", port, path};
    engine = std::make_unique<OpenAiEngine>(settings, url, nullptr, 4, loop_, http::PoolMetrics());
  }

  // The request that the engine gets, to which it answers "{}".
  std::string sent(const std::string& path = "/v1") {
    std::string seen;
    FakeEngine fake([&](Wire& wire) {
      seen = wire.request();
      wire.send("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
    });
    connect(fake.port(), path);
    const Result<Answer> answer = call();
    EXPECT_TRUE(answer.ok() && answer->body == "{}");
    engine.reset();
    return seen;
  }

  // What comes of a question that is answered so.
  Result<Answer> answered_with(std::string text) {
    FakeEngine fake([&](Wire& wire) {
      wire.request();
      wire.send(text);
    });
    connect(fake.port());
    return call();
  }

  Result<Answer> call(Duration within = 5s) {
    std::optional<Result<Answer>> answer;
    run([&]() -> Task<void> {
      Deadline deadline(loop_, Clock::now() + within);
      const Call what{question, upstream, headers, "req-1", ask_usage};
      Result<Answer> got = co_await engine->call(what, deadline);
      answer.emplace(std::move(got));
    });
    return *std::move(answer);
  }

  struct Rest {
    std::vector<std::string> pieces;
    std::optional<Error> error;
    std::string text() const {
      std::string all;
      for (const std::string& piece : pieces) all += piece;
      return all;
    }
  };
  Rest rest_of(Answer& answer, Duration within = 5s) {
    Rest rest;
    run([&]() -> Task<void> {
      Deadline deadline(loop_, Clock::now() + within);
      for (;;) {
        Result<std::string_view> piece = co_await answer.rest->next(deadline);
        if (!piece) {
          rest.error = std::move(piece).error();
          break;
        }
        if (piece->empty()) break;
        rest.pieces.emplace_back(*piece);
      }
    });
    return rest;
  }

  // From a script: until so much time has passed on the loop.
  void pause(Duration duration) {
    std::promise<void> over;
    SteadyTimer timer(loop_.executor(), duration);
    timer.async_wait([&](boost::system::error_code) { over.set_value(); });
    over.get_future().wait();
  }

  static std::string body_of(const std::string& request) {
    return request.substr(request.find("\r\n\r\n") + 4);
  }
  static std::string line_of(const std::string& request) {
    return request.substr(0, request.find("\r\n"));
  }
  static bool has(const std::string& request, const std::string& field) {
    return request.find("\r\n" + field + "\r\n") != std::string::npos;
  }

  Question question;
  std::string upstream;
  std::vector<HeaderView> headers;
  bool ask_usage = false;
  settings::EngineSettings settings;
  std::unique_ptr<OpenAiEngine> engine;
};

// ---- what is sent ------------------------------------------------------------------------------

TEST_F(OpenAiTest, SendsTheQuestionAsItCame) {
  settings.api_key = "sk-1";
  headers = {{"user-agent", "test/1"}, {"openai-beta", "x"}};
  const std::string request = sent();
  EXPECT_EQ(line_of(request), "POST /v1/chat/completions HTTP/1.1");
  EXPECT_EQ(body_of(request), kBody);
  for (const std::string field : {"content-length: 43", "content-type: application/json",
                                  "authorization: Bearer sk-1", "accept-encoding: identity",
                                  "x-request-id: req-1", "user-agent: test/1", "openai-beta: x"}) {
    EXPECT_TRUE(has(request, field)) << field << "\n" << request;
  }
  EXPECT_NE(request.find("\r\nhost: 127.0.0.1:"), std::string::npos);
}

TEST_F(OpenAiTest, PutsTheEnginesNameOfTheModelIntoTheBody) {
  upstream = "meta/\"llama\"";
  EXPECT_EQ(body_of(sent()), R"({"model":"meta/\"llama\"","stream":true,"messages":[]})");
  upstream = "gpt";
  EXPECT_EQ(body_of(sent()), kBody);
  upstream = "";
  EXPECT_EQ(body_of(sent()), kBody);
}

TEST_F(OpenAiTest, AsksForUsageWhereTheGatewayWantsIt) {
  ask_usage = true;
  EXPECT_EQ(
      body_of(sent()),
      R"({"stream_options":{"include_usage":true},"model":"gpt","stream":true,"messages":[]})");
  upstream = "llama";
  EXPECT_EQ(
      body_of(sent()),
      R"({"stream_options":{"include_usage":true},"model":"llama","stream":true,"messages":[]})");
}

TEST_F(OpenAiTest, ReplacesStreamOptionsBeforeAndBehindTheModel) {
  ask_usage = true;
  upstream = "llama";
  for (const auto& [body, expected] :
       {std::pair<std::string, std::string>{
            R"({"stream_options":{"include_usage":false},"model":"gpt"})",
            R"({"stream_options":{"include_usage":true},"model":"llama"})"},
        {R"({"model":"gpt","stream_options":null})",
         R"({"model":"llama","stream_options":{"include_usage":true}})"}}) {
    ask(body);
    const std::size_t begin = body.find("\"stream_options\":") + 17;
    question.stream_options_at = {begin, body.find_first_of(",}", begin)};
    if (body[begin] == '{') question.stream_options_at.end = body.find('}', begin) + 1;
    EXPECT_EQ(body_of(sent()), expected);
  }
}

TEST_F(OpenAiTest, ALargeBodyGoesOnAsItCameAroundTheModel) {
  const std::string body = R"({"model":"gpt","messages":[{"role":"user","content":")" +
                           std::string(10 << 20, 'x') + R"("}]})";
  ask(body);
  upstream = "llama";
  const std::string got = body_of(sent());
  EXPECT_EQ(got.size(), body.size() + 2);
  EXPECT_EQ(got.substr(0, 20), R"({"model":"llama","me)");
  EXPECT_TRUE(got.substr(16) == body.substr(14));
}

TEST_F(OpenAiTest, MapsTargetsUnderItsBase) {
  for (const auto& [path, target, expected] :
       {std::array<std::string, 3>{"/v1", "/v1/models", "/v1/models"},
        {"/openai/v1", "/v1/models", "/openai/v1/models"},
        {"", "/v1/models", "/models"},
        {"/v1", "/v1/x?a=b", "/v1/x?a=b"},
        {"/api", "/v1", "/api"},
        {"/api", "/v1beta/x", "/api/v1beta/x"}}) {
    question.target = target;
    EXPECT_EQ(line_of(sent(path)), "POST " + expected + " HTTP/1.1");
  }
}

TEST_F(OpenAiTest, JoinsItsOwnQueryWithTheClients) {
  settings.query = {{"api-version", "2024 06"}, {"k", "a&b"}};
  EXPECT_EQ(line_of(sent()), "POST /v1/chat/completions?api-version=2024%2006&k=a%26b HTTP/1.1");
  question.target = "/v1/files?limit=2";
  EXPECT_EQ(line_of(sent()), "POST /v1/files?limit=2&api-version=2024%2006&k=a%26b HTTP/1.1");
}

TEST_F(OpenAiTest, SendsItsKeyAsConfigured) {
  settings.api_key = "k";
  settings.auth = settings::EngineAuth::api_key;
  EXPECT_TRUE(has(sent(), "api-key: k"));
  settings.auth = settings::EngineAuth::none;
  const std::string request = sent();
  EXPECT_EQ(request.find("api-key"), std::string::npos);
  EXPECT_EQ(request.find("authorization"), std::string::npos);
}

TEST_F(OpenAiTest, ConfiguredHeadersWinOverTheClients) {
  settings.headers = {{"x-team", "ours"}};
  headers = {{"x-team", "theirs"}, {"x-other", "1"}};
  const std::string request = sent();
  EXPECT_TRUE(has(request, "x-team: ours"));
  EXPECT_TRUE(has(request, "x-other: 1"));
  EXPECT_EQ(request.find("theirs"), std::string::npos);
}

TEST_F(OpenAiTest, PassesGetThrough) {
  question = Question();
  question.method = "GET";
  question.target = "/v1/files/f-1/content";
  const std::string request = sent();
  EXPECT_EQ(line_of(request), "GET /v1/files/f-1/content HTTP/1.1");
  EXPECT_EQ(request.find("content-length"), std::string::npos);
  EXPECT_EQ(request.find("content-type"), std::string::npos);
}

// ---- what comes back ---------------------------------------------------------------------------

TEST_F(OpenAiTest, KeepsTheHeadersThatAreForTheClient) {
  const Result<Answer> answer = answered_with(
      "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nDate: now\r\n"
      "Server: uvicorn\r\nSet-Cookie: a=b\r\nRetry-After: 3\r\nRetry-After-Ms: 2500\r\n"
      "X-Should-Retry: true\r\nOpenAI-Processing-Ms: 5\r\nX-RateLimit-Remaining-Tokens: 0\r\n"
      "X-Request-Id: theirs\r\nX-Penstock-Cache: hit\r\nConnection: keep-alive, x-hop\r\n"
      "Connection: x-hop-2\r\nX-Hop: 1\r\nX-Hop-2: 1\r\nKeep-Alive: timeout=5\r\n"
      "Access-Control-Allow-Origin: *\r\nContent-Length: 2\r\n\r\n{}");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 429);
  EXPECT_EQ(answer->content_type, "application/json");
  EXPECT_EQ(answer->body, "{}");
  std::vector<std::string> names;
  for (const Header& header : answer->headers) names.push_back(header.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"retry-after", "retry-after-ms", "x-should-retry",
                                      "openai-processing-ms", "x-ratelimit-remaining-tokens"}));
}

TEST_F(OpenAiTest, GivesWhatIsSmallWhole) {
  const std::string text(200'000, 'a');
  Result<Answer> answer = answered_with(
      "HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 200000\r\n\r\n" + text);
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->rest);
  EXPECT_TRUE(answer->body == text);
  answer = answered_with(
      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
      "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n");
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->rest);
  EXPECT_EQ(answer->body, "{}");
}

TEST_F(OpenAiTest, GivesWhatIsLargeAsItComes) {
  const std::string text(3'000'000, 'a');
  const std::string known =
      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 3000000\r\n\r\n" + text;
  const std::string unknown =
      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
      "2dc6c0\r\n" +
      text + "\r\n0\r\n\r\n";
  for (const std::string& raw : {known, unknown}) {
    FakeEngine fake([&](Wire& wire) {
      wire.request();
      wire.send(raw);
    });
    connect(fake.port());
    Result<Answer> answer = call();
    ASSERT_TRUE(answer);
    ASSERT_TRUE(answer->rest);
    EXPECT_EQ(answer->length.has_value(), raw == known);
    EXPECT_TRUE(answer->body.empty());
    const Rest rest = rest_of(*answer);
    EXPECT_FALSE(rest.error);
    EXPECT_TRUE(rest.text() == text);
    answer->rest.reset();
    engine.reset();
  }
}

TEST_F(OpenAiTest, StreamsAsTheEventsCome) {
  question.stream = true;
  FakeEngine fake([&](Wire& wire) {
    wire.request();
    wire.send(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        "transfer-encoding: chunked\r\n\r\n");
    settle();
    for (int i = 0; i < 10; ++i) {
      wire.send("9\r\ndata: " + std::to_string(i) + "\n\n\r\n");
      settle();
    }
    wire.send("0\r\n\r\n");
  });
  connect(fake.port());
  std::vector<std::string> pieces;
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    const Call what{question, upstream, headers, "req-1", false};
    Result<Answer> answer = co_await engine->call(what, deadline);
    EXPECT_TRUE(answer.ok() && answer->event_stream() && answer->rest);
    for (;;) {
      Result<std::string_view> piece = co_await answer->rest->next(deadline);
      EXPECT_TRUE(piece.ok());
      if (!piece || piece->empty()) break;
      pieces.emplace_back(*piece);
    }
  });
  EXPECT_EQ(pieces.size(), 10u);
  EXPECT_EQ(pieces.back(), "data: 9\n\n");
}

TEST_F(OpenAiTest, RefusesRedirectsAndEncodings) {
  for (const std::string head : {"301 Moved Permanently\r\nlocation: http://else",
                                 "307 Temporary Redirect", "200 OK\r\ncontent-encoding: gzip"}) {
    const Result<Answer> answer =
        answered_with("HTTP/1.1 " + head + "\r\ncontent-length: 0\r\n\r\n");
    ASSERT_FALSE(answer) << head;
    EXPECT_EQ(answer.error().kind, Kind::broken);
    EXPECT_EQ(answer.error().source, Source::engine);
    EXPECT_NE(answer.error().detail.find("gpu-a"), std::string::npos);
  }
}

TEST_F(OpenAiTest, NamesItselfInItsErrors) {
  const Result<Answer> answer = answered_with("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().detail, "engine gpu-a: the engine's answer was cut short");
}

// ---- time --------------------------------------------------------------------------------------

TEST_F(OpenAiTest, TheFirstTokenOfAStreamHasATimeOfItsOwn) {
  question.stream = true;
  settings.timeout.first_token = 50ms;
  settings.timeout.between_tokens = 5s;
  for (const bool with_head : {false, true}) {
    FakeEngine fake([&](Wire& wire) {
      wire.request();
      if (with_head) {
        wire.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
      }
      EXPECT_TRUE(wire.ended());
    });
    connect(fake.port());
    Result<Answer> answer = call();
    EXPECT_EQ(answer.ok(), with_head);
    const Error error = answer ? *rest_of(*answer).error : answer.error();
    EXPECT_EQ(error.kind, Kind::timeout);
    EXPECT_EQ(error.source, Source::engine);
    EXPECT_NE(error.detail.find("first_token"), std::string::npos) << error.detail;
    if (answer) answer->rest.reset();
    engine.reset();
  }
}

TEST_F(OpenAiTest, SoDoTheGapsBetweenTokens) {
  question.stream = true;
  settings.timeout.first_token = 5s;
  settings.timeout.between_tokens = 50ms;
  FakeEngine fake([&](Wire& wire) {
    wire.request();
    wire.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n");
    EXPECT_TRUE(wire.ended());
  });
  connect(fake.port());
  Result<Answer> answer = call();
  ASSERT_TRUE(answer);
  const Rest rest = rest_of(*answer);
  EXPECT_EQ(rest.text(), "data: 1\n\n");
  ASSERT_TRUE(rest.error);
  EXPECT_EQ(rest.error->kind, Kind::timeout);
  EXPECT_NE(rest.error->detail.find("between_tokens"), std::string::npos);
  answer->rest.reset();
}

TEST_F(OpenAiTest, APlainAnswerMayTakeLongerThanAFirstToken) {
  settings.timeout.first_token = 20ms;
  settings.timeout.between_tokens = 20ms;
  FakeEngine fake([&](Wire& wire) {
    wire.request();
    pause(60ms);
    wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{");
    pause(60ms);
    wire.send("}");
  });
  connect(fake.port());
  const Result<Answer> answer = call();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "{}");
}

// ---- models ------------------------------------------------------------------------------------

class ModelsTest : public OpenAiTest {
 protected:
  Result<std::vector<Model>> listed(std::string body, std::string status = "200 OK") {
    std::optional<Result<std::vector<Model>>> models;
    FakeEngine fake([&](Wire& wire) {
      request_ = wire.request();
      wire.send("HTTP/1.1 " + status + "\r\ncontent-length: " + std::to_string(body.size()) +
                "\r\n\r\n" + body);
    });
    settings.api_key = "k";
    connect(fake.port());
    run([&]() -> Task<void> {
      Deadline deadline(loop_, Clock::now() + 5s);
      Result<std::vector<Model>> got = co_await engine->models(deadline);
      models.emplace(std::move(got));
    });
    engine.reset();
    return *std::move(models);
  }
  std::string request_;
};

TEST_F(ModelsTest, AreListed) {
  const auto models = listed(
      R"({"object":"list","data":[{"id":"a","created":5,"owned_by":"vllm"},{"id":"b"},{"x":1},7]})");
  ASSERT_TRUE(models);
  ASSERT_EQ(models->size(), 2u);
  EXPECT_EQ((*models)[0].id, "a");
  EXPECT_EQ((*models)[0].created, 5);
  EXPECT_EQ((*models)[0].owned_by, "vllm");
  EXPECT_EQ((*models)[1].id, "b");
  EXPECT_EQ(line_of(request_), "GET /v1/models HTTP/1.1");
  EXPECT_TRUE(has(request_, "authorization: Bearer k"));
}

TEST_F(ModelsTest, AreRefusedWhereTheyAreNone) {
  for (const std::string body : {"", "{", "[]", R"({"data":{}})", R"({"data":null})"}) {
    const auto models = listed(body);
    ASSERT_FALSE(models) << body;
    EXPECT_EQ(models.error().kind, Kind::broken);
  }
  EXPECT_NE(listed("{}", "500 Oh").error().detail.find("500"), std::string::npos);
  EXPECT_NE(listed("{}", "404 Not Found").error().detail.find("the path in its url"),
            std::string::npos);
  for (const std::string status : {"401 Unauthorized", "403 Forbidden"}) {
    EXPECT_EQ(listed("{}", status).error().kind, Kind::refused) << status;
  }
  EXPECT_NE(listed(std::string(5 << 20, ' ')).error().detail.find("4 MiB"), std::string::npos);
}

}  // namespace
}  // namespace penstock::engine
