#include "dialect/messages.h"

#include <gtest/gtest.h>

namespace penstock::dialect {
namespace {

TEST(InputMessages, AreTextToolCallsAndTheirResults) {
  EXPECT_EQ(
      input_messages(R"({"model":"m","messages":[{"role":"system","content":"Be \"brief\"."},)"
                     R"({"role":"user","content":[{"type":"text","text":"What is it?"},)"
                     R"({"type":"image_url","image_url":{"url":"https://a/b.png"}}]},)"
                     R"({"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":)"
                     R"("function","function":{"name":"look","arguments":"{\"a\":1}"}}]},)"
                     R"({"role":"tool","tool_call_id":"c1","content":"A cat."}]})",
                     Endpoint::chat),
      R"([{"role":"system","parts":[{"type":"text","content":"Be \"brief\"."}]},)"
      R"({"role":"user","parts":[{"type":"text","content":"What is it?"},)"
      R"({"type":"image_url","image_url":{"url":"https://a/b.png"}}]},)"
      R"({"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"look",)"
      R"("arguments":"{\"a\":1}"}]},)"
      R"({"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"A cat."}]}])");
}

TEST(InputMessages, AreThePromptOrTheInput) {
  EXPECT_EQ(input_messages(R"({"prompt":"Once"})", Endpoint::completions),
            R"([{"role":"user","parts":[{"type":"text","content":"Once"}]}])");
  EXPECT_EQ(input_messages(R"({"input":["a",[1,2],"b"]})", Endpoint::embeddings),
            R"([{"role":"user","parts":[{"type":"text","content":"a"}]},)"
            R"({"role":"user","parts":[{"type":"text","content":"b"}]}])");
}

TEST(InputMessages, OfWhatHasNoneAreEmpty) {
  for (const std::string_view body :
       {"", "{", "[]", "{}", R"({"messages":[]})", R"({"messages":7})", R"({"messages":[7]})",
        R"({"messages":[{"role":"user","content":"a"})"}) {
    EXPECT_EQ(input_messages(body, Endpoint::chat), "") << body;
  }
  EXPECT_EQ(input_messages(R"({"messages":[]})", Endpoint::models), "");
}

TEST(OutputMessages, SayHowTheyEnded) {
  EXPECT_EQ(
      output_messages(R"({"choices":[{"index":0,"message":{"role":"assistant","content":"Hi",)"
                      R"("reasoning_content":"Hm."},"finish_reason":"stop"},)"
                      R"({"index":1,"message":{"role":"assistant","content":null,)"
                      R"("refusal":"No."},"finish_reason":null}]})",
                      Endpoint::chat),
      R"([{"role":"assistant","parts":[{"type":"reasoning","content":"Hm."},)"
      R"({"type":"text","content":"Hi"}],"finish_reason":"stop"},)"
      R"({"role":"assistant","parts":[{"type":"text","content":"No."}]}])");
  EXPECT_EQ(output_messages(R"({"choices":[{"text":" upon","finish_reason":"length"}]})",
                            Endpoint::completions),
            R"([{"role":"assistant","parts":[{"type":"text","content":" upon"}],)"
            R"("finish_reason":"length"}])");
}

TEST(OutputMessages, OfWhatHasNoneAreEmpty) {
  for (const std::string_view body :
       {"", "{}", R"({"choices":[]})", R"({"choices":[1]})", R"({"choices":[{}]})",
        R"({"error":{"message":"no"}})", R"({"choices":[{"text":"a"})"}) {
    EXPECT_EQ(output_messages(body, Endpoint::chat), "") << body;
  }
}

}  // namespace
}  // namespace penstock::dialect
