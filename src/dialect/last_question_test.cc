#include "dialect/last_question.h"

#include <gtest/gtest.h>

#include "dialect/embeddings.h"

namespace penstock::dialect {
namespace {

std::optional<std::string> asked(std::string_view messages, std::uint32_t turns = 1) {
  const std::string body = R"({"model":"m","messages":)" + std::string(messages) + R"(,"n":1})";
  const auto last = last_question(body, turns);
  if (!last) return std::nullopt;
  EXPECT_EQ(body[last->at.begin], '"');
  EXPECT_EQ(body[last->at.end - 1], '"');
  return last->text;
}

TEST(LastQuestion, IsTheTextOfTheLastMessage) {
  EXPECT_EQ(asked(R"([{"role":"user","content":"one \"two\" \u00e9"}])"), "one \"two\" é");
  EXPECT_EQ(asked(R"([{"role":"system","content":"s"},{"content":"q","role":"user"}])"), "q");
  EXPECT_EQ(asked(R"([{"role":"user","content":[{"type":"text","text":"q"}]}])"), "q");
  EXPECT_EQ(asked(R"([{"role":"user","name":"ann","content":"q"}])"), "q");
}

TEST(LastQuestion, OfALongConversationThereIsNone) {
  constexpr std::string_view kTwo =
      R"([{"role":"user","content":"a"},{"role":"assistant","content":"b","tool_calls":null},)"
      R"({"role":"user","content":"c"}])";
  EXPECT_EQ(asked(kTwo, 1), std::nullopt);
  EXPECT_EQ(asked(kTwo, 2), "c");
}

TEST(LastQuestion, OfMoreThanWordsThereIsNone) {
  for (
      const std::string_view messages : {
          R"([])",
          R"({})",
          R"([{"role":"user"}])",
          R"([{"role":"user","content":null}])",
          R"([{"role":"user","content":"q"},{"role":"assistant","content":"a"}])",
          R"([{"role":"tool","content":"q"},{"role":"user","content":"q"}])",
          R"([{"role":"assistant","tool_calls":[{"id":"1"}]},{"role":"user","content":"q"}])",
          R"([{"role":"assistant","function_call":{}},{"role":"user","content":"q"}])",
          R"([{"role":"user","content":[{"type":"text","text":"q"},{"type":"image_url","image_url":{}}]}])",
          R"([{"role":"user","content":[{"type":"text","text":"q"},{"type":"text","text":"r"}]}])",
          R"([{"role":"user","content":[{"type":"input_audio","text":"q"}]}])",
          R"([{"role":"user","content":[]}])",
          R"([{"role":"user","content":[1]}])",
          R"([{"role":"user","content":"q","tool_c\u0061lls":[1]}])",
          R"([{"role":"us\u0065r","content":"q"}])",
          R"([{"role":1,"content":"q"}])",
      }) {
    EXPECT_EQ(asked(messages), std::nullopt) << messages;
  }
  EXPECT_FALSE(last_question(R"({"m\u0065ssages":[]})", 1));
  EXPECT_FALSE(last_question(R"({"messages":[{"role":"user","content":"q")", 1));
}

TEST(Embeddings, AreAskedForAndRead) {
  std::string out;
  const std::vector<std::string> texts{"one", "\"two\""};
  write_embeddings_question(out, "m", texts);
  EXPECT_EQ(out, R"({"model":"m","input":["one","\"two\""],"encoding_format":"float"})");
  const auto vectors = read_embeddings(
      R"({"data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[0.5,-1e-1]}]})", 2, 8);
  ASSERT_TRUE(vectors);
  EXPECT_EQ((*vectors)[0], (std::vector<float>{0.5F, -0.1F}));
  EXPECT_EQ((*vectors)[1], (std::vector<float>{3, 4}));
}

TEST(Embeddings, WhatIsNotWhatWasAskedForIsAnError) {
  for (const std::string_view body :
       {"", "{}", R"({"data":[]})", R"({"data":[{"index":0,"embedding":[1]}]})",
        R"({"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]})",
        R"({"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}]})",
        R"({"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]})",
        R"({"data":[{"index":0,"embedding":["a"]},{"index":1,"embedding":[1]}]})",
        R"({"data":[{"index":0,"embedding":[1,2,3]},{"index":1,"embedding":[1,2,3]}]})",
        R"({"data":[{"index":0,"embedding":"AAAA"},{"index":1,"embedding":"AAAA"}]})"}) {
    EXPECT_FALSE(read_embeddings(body, 2, 2)) << body;
  }
}

}  // namespace
}  // namespace penstock::dialect
