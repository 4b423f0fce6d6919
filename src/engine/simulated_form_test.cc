#include "engine/simulated_form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace penstock::engine {
namespace {

using testing::MatchesRegex;

std::optional<SimulatedForm> wanted(const std::string& more) {
  Random random(7);
  return form_wanted(R"({"model":"m","messages":[{"role":"user","content":"?"}])" + more + "}",
                     random);
}

std::string by_schema(const std::string& schema) {
  const auto form =
      wanted(R"(,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":)" +
             schema + "}}");
  EXPECT_TRUE(form && form->tool.empty()) << schema;
  return form ? form->json : "";
}

TEST(SimulatedForm, IsProseUnlessSomethingElseIsWanted) {
  EXPECT_FALSE(wanted(""));
  EXPECT_FALSE(wanted(R"(,"response_format":{"type":"text"})"));
  EXPECT_FALSE(wanted(R"(,"tools":[])"));
  EXPECT_EQ(wanted(R"(,"response_format":{"type":"json_object"})")->json,
            R"({"answer":"simulated"})");
}

TEST(SimulatedForm, FitsTheSchema) {
  EXPECT_THAT(by_schema(R"({"type":"object","required":["a","b","c","d","e","f"],"properties":{
    "a":{"type":"string","minLength":12},"b":{"type":"integer","minimum":3,"maximum":3},
    "c":{"type":"array","items":{"type":"boolean"},"minItems":2},"d":{"enum":["x","x"]},
    "e":{"const":{"k":null}},"f":{"type":["null","string"]}}})"),
              MatchesRegex(R"re(\{"a":"simulated\.\.\.","b":3,"c":\[(true|false),(true|false)\],)re"
                           R"re("d":"x","e":\{"k":null\},"f":null\})re"));
  EXPECT_EQ(by_schema(R"({"properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"const":1}}})"),
            R"({"a":1})");
  EXPECT_EQ(by_schema(R"({"type":"string","maxLength":3})"), R"("sim")");
  EXPECT_EQ(by_schema(R"({"type":"array","items":{"type":"null"},"maxItems":0})"), "[]");
}

TEST(SimulatedForm, EndsWhereASchemaContainsItself) {
  EXPECT_THAT(by_schema(R"({"type":"object","required":["next"],"properties":{
    "next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}}})"),
              MatchesRegex(R"re((\{"next":)+null\}+)re"));
  EXPECT_THAT(by_schema(R"({"$ref":"#"})"), "null");
  EXPECT_THAT(by_schema(R"({"type":"array","items":{"$ref":"#"}})"), MatchesRegex(R"re(\[+\]+)re"));
}

TEST(SimulatedForm, CallsAToolUnlessOneHasAnswered) {
  const std::string tools =
      R"(,"tools":[{"type":"function","function":{"name":"a","parameters":{"properties":{"x":{"const":1}}}}},)"
      R"({"type":"function","function":{"name":"b"}}])";
  EXPECT_EQ(wanted(tools)->tool, "a");
  EXPECT_EQ(wanted(tools)->json, R"({"x":1})");
  EXPECT_FALSE(wanted(tools + R"(,"tool_choice":"none")"));
  const auto named =
      wanted(tools + R"(,"tool_choice":{"type":"function","function":{"name":"b"}})");
  EXPECT_EQ(named->tool, "b");
  EXPECT_EQ(named->json, "{}");
  Random random(7);
  const std::string answered = R"({"messages":[{"role":"tool","content":"1"}])" + tools;
  EXPECT_FALSE(form_wanted(answered + "}", random));
  EXPECT_EQ(form_wanted(answered + R"(,"tool_choice":"required"})", random)->tool, "a");
}

TEST(SimulatedForm, IsCutBetweenCharacters) {
  const std::string text = "{\"é\":\"世界世界世界\"}";
  std::string joined;
  for (const std::string_view piece : pieces_of(text)) {
    EXPECT_NE(static_cast<unsigned char>(piece.front()) & 0xc0, 0x80);
    joined += piece;
  }
  EXPECT_EQ(joined, text);
}

}  // namespace
}  // namespace penstock::engine
