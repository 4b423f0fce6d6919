#include "dialect/json.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <limits>

#include "base/uuid.h"
#include "dialect/refusal.h"

namespace penstock::dialect {
namespace {

std::string json_of(std::string_view text) {
  std::string out;
  write_string(out, text);
  return out;
}

TEST(JsonWriter, PutsCommasWhereTheyAreDue) {
  std::string out = "data: ";
  JsonWriter json(out);
  json.begin_object().member("a", 1).key("b").begin_array();
  json.begin_array().end_array().begin_object().end_object().value("x,[{:").value(true).null();
  json.end_array().member("c", -2.5).member("d", "").member_null("e").member_raw("f", "[1]");
  json.end_object();
  EXPECT_EQ(out, R"(data: {"a":1,"b":[[],{},"x,[{:",true,null],"c":-2.5,"d":"","e":null,"f":[1]})");
}

TEST(JsonWriter, WritesNumbersShortAndWhole) {
  std::string out;
  JsonWriter json(out);
  json.begin_array().value(0.1).value(1e300).value(3.0).value(
      std::numeric_limits<double>::infinity());
  json.value(std::numeric_limits<std::int64_t>::min());
  json.value(std::numeric_limits<std::uint64_t>::max()).end_array();
  EXPECT_EQ(out, "[0.1,1e+300,3,null,-9223372036854775808,18446744073709551615]");
}

TEST(JsonWriter, EscapesWhatJsonCannotHold) {
  EXPECT_EQ(json_of("a\"b\\c/\b\f\n\r\t"), R"("a\"b\\c/\b\f\n\r\t")");
  EXPECT_EQ(json_of(std::string_view("\0\x1f\x7f", 3)), "\"\\u0000\\u001f\x7f\"");
  EXPECT_EQ(json_of("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"),
            "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"");
}

TEST(JsonWriter, ReplacesIllFormedUtf8) {
  const std::string mark = "\xef\xbf\xbd";
  EXPECT_EQ(json_of("a\xff"
                    "b"),
            "\"a" + mark + "b\"");
  EXPECT_EQ(json_of("\xc3"), "\"" + mark + "\"");
  EXPECT_EQ(json_of("\xc0\x80"), "\"" + mark + mark + "\"");
  EXPECT_EQ(json_of("\xed\xa0\x80"), "\"" + mark + mark + mark + "\"");
}

TEST(JsonWriter, WritesAnyBytesSoThatTheyReadBack) {
  Random random(5);
  simdjson::dom::parser parser;
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::uint64_t length = random.next() % 40; length > 0; --length) {
      text += static_cast<char>(random.next() % (round % 2 == 0 ? 128 : 256));
    }
    std::string_view read;
    ASSERT_EQ(parser.parse(json_of(text)).get(read), simdjson::SUCCESS);
    if (simdjson::validate_utf8(text)) {
      EXPECT_EQ(read, text);
    }
  }
}

TEST(Refusal, IsWrittenWithAllFourMembers) {
  Refusal refusal;
  refusal.message = "no \"x\"";
  std::string out;
  write_refusal(out, refusal);
  EXPECT_EQ(out, R"({"error":{"message":"no \"x\"","type":"invalid_request_error","param":null,)"
                 R"("code":null}})");
  refusal.param = "n";
  refusal.code = "invalid_type";
  out.clear();
  write_refusal_event(out, refusal);
  EXPECT_EQ(out,
            "data: {\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":\"invalid_request_error\","
            "\"param\":\"n\",\"code\":\"invalid_type\"}}\n\n");
}

TEST(Refusal, TellsTheClientWhoseFaultItWas) {
  const auto status = [](Kind kind, Source source) {
    return refusal_of(Error{kind, source, false, "detail"}).status;
  };
  EXPECT_EQ(status(Kind::broken, Source::engine), 502);
  EXPECT_EQ(status(Kind::refused, Source::engine), 502);
  EXPECT_EQ(status(Kind::unreachable, Source::engine), 503);
  EXPECT_EQ(status(Kind::exhausted, Source::gateway), 503);
  EXPECT_EQ(status(Kind::cancelled, Source::gateway), 503);
  EXPECT_EQ(status(Kind::timeout, Source::engine), 504);
  EXPECT_EQ(status(Kind::timeout, Source::gateway), 504);
  EXPECT_EQ(status(Kind::cancelled, Source::client), 499);
  EXPECT_EQ(status(Kind::exhausted, Source::client), 408);
  EXPECT_EQ(status(Kind::internal, Source::gateway), 500);
  EXPECT_EQ(refusal_of(Error{Kind::broken, Source::engine, false, "gpu-a reset"}).type,
            "server_error");
}

TEST(Refusal, SaysOfAnEngineWhatIsWrongInOneSentence) {
  const auto message = [](Kind kind, std::string detail) {
    return refusal_of(Error{kind, Source::engine, false, std::move(detail)}).message;
  };
  EXPECT_EQ(message(Kind::timeout, "engine e did not answer within timeout.total"),
            "Engine e did not answer within timeout.total.");
  EXPECT_EQ(message(Kind::broken, "engine e: its answer is not JSON"),
            "Engine e: its answer is not JSON.");
  EXPECT_EQ(message(Kind::cancelled, "wait: the gateway stops"), "The gateway is stopping.");
}

TEST(Refusal, CompletesWhatAnEngineSaid) {
  const auto completed = [](std::string_view body, int status = 400) {
    return completed_refusal(body, status).value_or("as it came");
  };
  EXPECT_EQ(completed(R"({"error":{"message":"m","type":"t","param":null,"code":7}})"),
            "as it came");
  EXPECT_EQ(completed(R"({"error": {"message": "m", "code": "c", "x": [1]}})"),
            R"({"error":{"message":"m","type":"invalid_request_error","param":null,"code":"c",)"
            R"("x":[1]}})");
  EXPECT_EQ(completed(R"({"error":"busy"})", 429),
            R"({"error":{"message":"busy","type":"rate_limit_error","param":null,"code":null}})");
  EXPECT_EQ(completed(R"({"detail":"Not Found"})", 404),
            R"({"error":{"message":"Not Found","type":"invalid_request_error","param":null,)"
            R"("code":null}})");
  EXPECT_EQ(completed(R"({"detail":[{"msg":"x"}]})", 422),
            R"({"error":{"message":"[{\"msg\":\"x\"}]","type":"invalid_request_error",)"
            R"("param":null,"code":null}})");
  EXPECT_EQ(completed(R"({"object":"error","message":"m","type":"BadRequest","param":null,)"
                      R"("code":400})"),
            R"({"error":{"message":"m","type":"BadRequest","param":null,"code":400,)"
            R"("object":"error"}})");
  EXPECT_EQ(completed("<h1>\x01 Bad</h1>\r\n", 502),
            R"({"error":{"message":"<h1>\u0001 Bad</h1>","type":"server_error","param":null,)"
            R"("code":null}})");
  EXPECT_EQ(completed("", 503), R"({"error":{"message":"The engine answered with status 503.",)"
                                R"("type":"server_error","param":null,"code":null}})");
  EXPECT_EQ(completed(R"({"detail":"d)"),
            R"({"error":{"message":"{\"detail\":\"d","type":"invalid_request_error",)"
            R"("param":null,"code":null}})");
  // 500 bytes at most, cut between characters.
  EXPECT_EQ(completed("a" + std::string(499, 'b') + "\xc3\xa9"),
            R"({"error":{"message":"a)" + std::string(499, 'b') +
                R"(","type":"invalid_request_error","param":null,"code":null}})");
  EXPECT_EQ(completed(std::string(499, 'b') + "\xc3\xa9"),
            R"({"error":{"message":")" + std::string(499, 'b') +
                R"(","type":"invalid_request_error","param":null,"code":null}})");
}

TEST(Refusal, KeepsTheInsideInside) {
  const Refusal refusal = refusal_of(Error{Kind::broken, Source::store, false, "table api_keys"});
  EXPECT_EQ(refusal.status, 500);
  EXPECT_EQ(refusal.message.find("api_keys"), std::string::npos);
}

TEST(Refusal, NamesAModelThatIsNotThere) {
  const Refusal refusal = unknown_model("gpt-9");
  EXPECT_EQ(refusal.status, 404);
  EXPECT_EQ(refusal.param, "model");
  EXPECT_EQ(refusal.code, "model_not_found");
  EXPECT_NE(refusal.message.find("`gpt-9`"), std::string::npos);
}

}  // namespace
}  // namespace penstock::dialect
