#include "dialect/answer.h"

#include <gtest/gtest.h>

#include <vector>

#include "dialect/stream.h"

namespace penstock::dialect {
namespace {

constexpr Made kMade{"chatcmpl-1", "m", 5};

TEST(AnswerFacts, KnowTheUsageAndWhetherItMayBeKept) {
  std::string body;
  write_chat(body, kMade, "hello", "stop", Usage{9, 4, 3, 2});
  const auto facts = answer_facts(body, Endpoint::chat);
  ASSERT_TRUE(facts);
  EXPECT_TRUE(facts->cacheable);
  EXPECT_TRUE(facts->has_usage);
  EXPECT_EQ(facts->usage.input, 9u);
  EXPECT_EQ(facts->usage.output, 4u);
  EXPECT_EQ(facts->usage.cached_input, 3u);
  EXPECT_EQ(facts->usage.reasoning, 2u);
  EXPECT_EQ(read_usage(body)->output, 4u);
}

TEST(AnswerFacts, KeepNothingThatIsNotWhole) {
  const auto cacheable = [](std::string_view body, Endpoint endpoint = Endpoint::chat) {
    const auto facts = answer_facts(body, endpoint);
    return facts && facts->cacheable;
  };
  EXPECT_TRUE(cacheable(R"({"choices":[{"finish_reason":"length"}]})"));
  EXPECT_FALSE(cacheable(R"({"choices":[{"finish_reason":null}]})"));
  EXPECT_FALSE(cacheable(R"({"choices":[{"index":0,"finish_reason":"stop"},{"index":1}]})"));
  EXPECT_FALSE(cacheable(R"({"choices":[{"finish_reason":"content_filter"}]})"));
  EXPECT_FALSE(cacheable(R"({"choices":[{"finish_reason":"stop"}],"error":{"message":"x"}})"));
  EXPECT_FALSE(cacheable(R"({"choices":[]})"));
  EXPECT_FALSE(cacheable("{}"));
  EXPECT_TRUE(cacheable(R"({"data":[{"embedding":[0.1]}]})", Endpoint::embeddings));
  EXPECT_FALSE(cacheable(R"({"data":[]})", Endpoint::embeddings));
  EXPECT_FALSE(answer_facts("", Endpoint::chat));
  EXPECT_FALSE(answer_facts("<html>", Endpoint::chat));
  EXPECT_FALSE(answer_facts(R"({"choices":[{"finish_reason":"stop"}]}{)", Endpoint::chat));
}

TEST(AnswerFacts, OfAStreamAskForItsEnd) {
  std::string frames;
  write_chat_event(frames, kMade, {true, "", "", true});
  write_chat_event(frames, kMade, {false, "hello", "", true});
  write_chat_event(frames, kMade, {false, "", "stop", true});
  write_usage_event(frames, kMade, Usage{1, 2, 0, 0}, Endpoint::chat);
  ASSERT_TRUE(stream_facts(frames));
  EXPECT_FALSE(stream_facts(frames)->cacheable);
  frames += kDoneEvent;
  EXPECT_TRUE(stream_facts(frames)->cacheable);
  EXPECT_EQ(stream_facts(frames)->usage.output, 2u);
  EXPECT_FALSE(stream_facts("data: x\n\n"));
}

TEST(QuestionText, IsTheLastUserMessage) {
  EXPECT_EQ(last_user_text(R"({"messages":[{"role":"user","content":"first"},)"
                           R"({"content":"la\u0073t\n","role":"user"},)"
                           R"({"role":"assistant","content":"no"}],"model":"m"})"),
            "last\n");
  EXPECT_EQ(last_user_text(R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"},)"
                           R"({"type":"image_url","image_url":{"url":"x"}},)"
                           R"({"text":"b","type":"text"}]}]})"),
            "a\nb");
  EXPECT_EQ(last_user_text(R"({"mess\u0061ges":[{"role":"us\u0065r","content":"x"}]})"), "x");
  EXPECT_EQ(last_user_text(R"({"messages":[{"role":"user","content":null}]})"), "");
  EXPECT_EQ(last_user_text(R"({"messages":[{"role":"system","content":"x"}]})"), "");
  EXPECT_EQ(last_user_text("{"), "");
}

TEST(QuestionText, OfOtherEndpointsIsTheFirstText) {
  EXPECT_EQ(question_text(R"({"prompt":"p"})", Endpoint::completions), "p");
  EXPECT_EQ(question_text(R"({"prompt":["p","q"]})", Endpoint::completions), "p");
  EXPECT_EQ(question_text(R"({"input":[1,2]})", Endpoint::embeddings), "");
}

TEST(Writers, MakeWhatOpenAiMakes) {
  std::string out;
  write_chat(out, kMade, "a\n", "stop", Usage{1, 2, 0, 0});
  EXPECT_EQ(out,
            R"({"id":"chatcmpl-1","object":"chat.completion","created":5,"model":"m","choices":)"
            R"([{"index":0,"message":{"role":"assistant","content":"a\n","refusal":null},)"
            R"("logprobs":null,"finish_reason":"stop"}],)"
            R"("usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})");
  out.clear();
  write_completion(out, kMade, "a", "length", Usage{});
  EXPECT_EQ(out,
            R"({"id":"chatcmpl-1","object":"text_completion","created":5,"model":"m","choices":)"
            R"([{"index":0,"text":"a","logprobs":null,"finish_reason":"length"}],)"
            R"("usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}})");
  out.clear();
  write_chat_event(out, kMade, {true, "", "", false});
  EXPECT_EQ(out,
            R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m",)"
            R"("choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,)"
            R"("finish_reason":null}]})"
            "\n\n");
  out.clear();
  const std::vector<ModelView> models = {{"a", "x", 1}, {"b", "y", 2}};
  write_models(out, models);
  EXPECT_EQ(out, R"({"object":"list","data":[)"
                 R"({"id":"a","object":"model","created":1,"owned_by":"x"},)"
                 R"({"id":"b","object":"model","created":2,"owned_by":"y"}]})");
}

}  // namespace
}  // namespace penstock::dialect
