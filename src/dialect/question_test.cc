#include "dialect/question.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <cstdlib>
#include <map>
#include <new>
#include <string>

#include "base/uuid.h"

// Allocations are counted, but where a sanitizer does its own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
namespace {
constexpr bool kCounted = false;
std::size_t allocations = 0;
}  // namespace
#else
namespace {
constexpr bool kCounted = true;
std::size_t allocations = 0;
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace penstock::dialect {
namespace {

constexpr std::string_view kChat =
    R"({"model":"gpt-4o","messages":[{"role":"system","content":"Be brief."},)"
    R"({"role":"user","content":"Say \"hi\" to \u00c5sa \ud83d\ude00"}],"temperature":0.70,)"
    R"("n":1,"stop":null,"x":[true,false,{},[],-1.5e-3]})";

// A body as http hands it over, but with the worst bytes behind it that a parser could run into.
struct Body {
  explicit Body(std::string_view text, char behind = '"')
      : bytes(std::string(text) + std::string(64, behind)), size(text.size()) {}
  std::string bytes;
  std::size_t size;
  std::string_view view() const { return std::string_view(bytes).substr(0, size); }
};

struct Read {
  std::optional<Refusal> refusal;
  Question question;
  bool ok() const { return !refusal; }
};

Read read(QuestionReader& reader, std::string_view text, Endpoint endpoint = Endpoint::chat,
          bool canonical = true) {
  const Body body(text);
  Read read;
  read.question.endpoint = endpoint;
  read.question.body = body.view();
  read.refusal = reader.read(read.question, canonical);
  read.question.body = {};
  return read;
}
Read read(std::string_view text, Endpoint endpoint = Endpoint::chat, bool canonical = true) {
  QuestionReader reader;
  return read(reader, text, endpoint, canonical);
}

// A chat request with these further members.
std::string chat(std::string_view members) {
  std::string text = R"({"model":"m","messages":[{"role":"user","content":"x"}])";
  if (!members.empty()) text += ',';
  return text + std::string(members) + '}';
}

std::string canonical(std::string_view members) {
  const Read one = read(chat(members));
  EXPECT_TRUE(one.ok()) << members << ": " << one.refusal->message;
  EXPECT_FALSE(one.question.canonical.empty());
  return one.question.canonical;
}

std::string message_of(std::string_view text, Endpoint endpoint = Endpoint::chat) {
  const Read plain = read(text, endpoint, false);
  const Read full = read(text, endpoint, true);
  EXPECT_EQ(plain.ok(), full.ok()) << text.substr(0, 200);
  if (plain.ok()) return "accepted";
  EXPECT_EQ(plain.refusal->status, 400);
  EXPECT_EQ(plain.refusal->type, "invalid_request_error");
  EXPECT_EQ(plain.refusal->message, full.refusal->message);
  EXPECT_TRUE(full.question.canonical.empty());
  return plain.refusal->message;
}

Refusal refusal_of(std::string_view text, Endpoint endpoint = Endpoint::chat) {
  const Read one = read(text, endpoint);
  EXPECT_FALSE(one.ok()) << text;
  return one.refusal.value_or(Refusal{});
}

// ---- fields ------------------------------------------------------------------------------------

TEST(QuestionReader, FindsTheRoutedFields) {
  const std::string text = chat(
      R"("stream":true,"stream_options":{"include_usage":true},"temperature":0,"max_tokens":7,)"
      R"("tools":[{"type":"function"}],"store":true)");
  const Read one = read(text);
  ASSERT_TRUE(one.ok()) << one.refusal->message;
  const Question& question = one.question;
  EXPECT_EQ(question.model, "m");
  EXPECT_EQ(text.substr(question.model_at.begin, question.model_at.end - question.model_at.begin),
            "\"m\"");
  EXPECT_EQ(text.substr(question.stream_options_at.begin,
                        question.stream_options_at.end - question.stream_options_at.begin),
            R"({"include_usage":true})");
  EXPECT_EQ(question.members_at, 1u);
  EXPECT_TRUE(question.stream);
  EXPECT_TRUE(question.include_usage);
  EXPECT_TRUE(question.repeatable);
  EXPECT_TRUE(question.tools);
  EXPECT_TRUE(question.stored);
  EXPECT_EQ(question.max_tokens, 7u);
}

TEST(QuestionReader, SetsEveryFieldAnewForTheNextQuestion) {
  QuestionReader reader;
  const Body first(chat(R"("stream":true,"stream_options":{"include_usage":true},"seed":1,)"
                        R"("tools":[1],"store":true,"max_completion_tokens":9)"));
  const Body second(chat(""));
  Question question;
  question.endpoint = Endpoint::chat;
  question.body = first.view();
  ASSERT_FALSE(reader.read(question, true));
  question.body = second.view();
  ASSERT_FALSE(reader.read(question, false));
  EXPECT_FALSE(question.stream || question.include_usage || question.repeatable || question.tools ||
               question.stored || question.max_tokens);
  EXPECT_TRUE(question.stream_options_at.empty());
  EXPECT_TRUE(question.canonical.empty());
}

TEST(QuestionReader, ReadsANameAndAModelThatAreWrittenInEscapes) {
  const Read one = read(R"( { "mod\u0065l" : "gpt\u002d4\n" , "messages":[{"r\u006fle":"user"}]})");
  ASSERT_FALSE(one.ok());
  EXPECT_EQ(one.refusal->param, "model");  // of its line feed
  const Read two = read(R"( { "mod\u0065l" : "gpt\u002d4" , "messages":[{"r\u006fle":"user"}]})");
  ASSERT_TRUE(two.ok()) << two.refusal->message;
  EXPECT_EQ(two.question.model, "gpt-4");
  EXPECT_EQ(two.question.members_at, 2u);
  EXPECT_EQ(two.question.model_at.end - two.question.model_at.begin, 12u);
}

TEST(QuestionReader, KnowsWhatMayBeRepeated) {
  const auto repeatable = [](std::string_view members) {
    return read(chat(members)).question.repeatable;
  };
  EXPECT_FALSE(repeatable(""));
  EXPECT_FALSE(repeatable(R"("temperature":0.1)"));
  EXPECT_FALSE(repeatable(R"("temperature":null,"seed":null)"));
  EXPECT_TRUE(repeatable(R"("temperature":-0.0e5)"));
  EXPECT_TRUE(repeatable(R"("temperature":1,"seed":-12345678901234567890123)"));
  EXPECT_TRUE(read(R"({"model":"e","input":"x"})", Endpoint::embeddings).question.repeatable);
}

TEST(QuestionReader, OfAnUnknownEndpointTakesTheModelAlone) {
  const Read one =
      read(R"({"model":"whisper","n":"many","messages":7,"stream":"yes"})", Endpoint::other);
  ASSERT_TRUE(one.ok()) << one.refusal->message;
  EXPECT_EQ(one.question.model, "whisper");
  EXPECT_TRUE(read("{}", Endpoint::other).ok());
  EXPECT_EQ(read(R"({"model":"m","stream":true})", Endpoint::other).question.stream, true);
  for (const char* body : {R"({"model":7})", R"({"model":null})", R"({"model":""})", "[]",
                           R"([{"model":"m"},["model"],7])",
                           R"({"store":"x","previous_response_id":7,"stream":"yes","user":[]})"}) {
    const Read lenient = read(body, Endpoint::other);
    ASSERT_TRUE(lenient.ok()) << body << ": " << lenient.refusal->message;
    EXPECT_EQ(lenient.question.model, "") << body;
    EXPECT_FALSE(lenient.question.stream) << body;
  }
  EXPECT_NE(read("[1]", Endpoint::other).question.canonical,
            read("[2]", Endpoint::other).question.canonical);
  EXPECT_EQ(refusal_of("[1", Endpoint::other).code, "invalid_json");
  EXPECT_EQ(refusal_of("7", Endpoint::other).code, "invalid_json");
  EXPECT_EQ(refusal_of(R"({"model":"a\u0000b"})", Endpoint::other).param, "model");
  EXPECT_EQ(message_of(R"({"a":1,"a":2})", Endpoint::other),
            "The body is ambiguous: an object names its member 'a' twice, again at byte 7.");
}

TEST(QuestionReader, SaysWhichParameterIsWrong) {
  struct Case {
    std::string members;
    std::string param;
    std::string code;
    std::string message;
  };
  const std::vector<Case> cases = {
      {R"("stream":"yes")", "stream", "invalid_type",
       "Invalid type for 'stream': expected a boolean, but got a string instead."},
      {R"("temperature":"hot")", "temperature", "invalid_type",
       "Invalid type for 'temperature': expected a decimal, but got a string instead."},
      {R"("n":0)", "n", "integer_below_min_value",
       "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead."},
      {R"("n":129)", "n", "integer_above_max_value",
       "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 129 instead."},
      {R"("n":1.5)", "n", "invalid_type",
       "Invalid type for 'n': expected an integer, but got a decimal instead."},
      {R"("max_tokens":1.5)", "max_tokens", "invalid_type",
       "Invalid type for 'max_tokens': expected an integer, but got a decimal instead."},
      {R"("seed":"7")", "seed", "invalid_type",
       "Invalid type for 'seed': expected an integer, but got a string instead."},
      {R"("tools":{})", "tools", "invalid_type",
       "Invalid type for 'tools': expected an array, but got an object instead."},
      {R"("stream_options":{"include_usage":true})", "stream_options", "invalid_value",
       "The 'stream_options' parameter is only allowed when 'stream' is enabled."},
      {R"("stream":true,"stream_options":[])", "stream_options", "invalid_type",
       "Invalid type for 'stream_options': expected an object, but got an array instead."},
      {R"("stream":true,"stream_options":{"include_usage":1})", "stream_options.include_usage",
       "invalid_type",
       "Invalid type for 'stream_options.include_usage': expected a boolean, but got an integer "
       "instead."},
  };
  for (const Case& one : cases) {
    const Refusal refusal = refusal_of(chat(one.members));
    EXPECT_EQ(refusal.param, one.param) << one.members;
    EXPECT_EQ(refusal.code, one.code) << one.members;
    EXPECT_EQ(refusal.message, one.message);
    EXPECT_EQ(message_of(chat(one.members)), one.message);
  }
}

TEST(QuestionReader, LeavesTheRangesOfParametersToTheEngines) {
  const auto limit = [](std::string_view members) {
    const Read one = read(chat(members));
    EXPECT_TRUE(one.ok()) << members;
    return one.question.max_tokens;
  };
  EXPECT_EQ(limit(R"("max_tokens":-1)"), std::nullopt);
  EXPECT_EQ(limit(R"("max_completion_tokens":-1)"), std::nullopt);
  EXPECT_EQ(limit(R"("max_tokens":0)"), 0u);
  EXPECT_EQ(limit(R"("max_tokens":-0)"), 0u);
  EXPECT_EQ(limit(R"("max_tokens":123456789012345678901234567890)"), 4294967295u);
  EXPECT_EQ(limit(R"("temperature":5,"max_tokens":3)"), 3u);
  EXPECT_EQ(limit(R"("temperature":-1e-9)"), std::nullopt);
  EXPECT_TRUE(read(R"({"model":"m","prompt":"x","max_tokens":0})", Endpoint::completions).ok());
  EXPECT_EQ(refusal_of(R"({"model":"m","prompt":"x","n":129})", Endpoint::completions).param, "n");
}

TEST(QuestionReader, SaysWhatAChatRequestLacks) {
  const auto expect = [](std::string_view text, std::string_view param, std::string_view code) {
    const Refusal refusal = refusal_of(text);
    EXPECT_EQ(refusal.param, param) << text;
    EXPECT_EQ(refusal.code, code) << text;
  };
  expect("{}", "model", "missing_required_parameter");
  expect(R"({"model":null,"messages":[{"role":"user"}]})", "model", "missing_required_parameter");
  expect(R"({"model":7,"messages":[{"role":"user"}]})", "model", "invalid_type");
  expect(R"({"model":"","messages":[{"role":"user"}]})", "model", "empty_string");
  expect(R"({"model":"a\u0000b","messages":[{"role":"user"}]})", "model", "invalid_value");
  expect(R"({"model":")" + std::string(257, 'm') + R"(","messages":[{"role":"user"}]})", "model",
         "string_above_max_length");
  expect(R"({"model":"m"})", "messages", "missing_required_parameter");
  expect(R"({"model":"m","messages":"hi"})", "messages", "invalid_type");
  expect(R"({"model":"m","messages":[]})", "messages", "empty_array");
  expect(R"({"model":"m","messages":[{"role":"user"},"hi"]})", "messages[1]", "invalid_type");
  expect(R"({"model":"m","messages":[{"role":"user"},[{"role":"user"}]]})", "messages[1]",
         "invalid_type");
  expect(R"({"model":"m","messages":[{"content":{"role":"user"}}]})", "messages[0].role",
         "missing_required_parameter");
  expect(R"({"model":"m","messages":[{"role":null}]})", "messages[0].role", "invalid_type");
}

TEST(QuestionReader, LetsUnknownParametersPass) {
  EXPECT_TRUE(read(chat(R"("guided_json":{"a":[1]},"prompt":7,"input":{},"top_k":-1)")).ok());
  EXPECT_TRUE(read(chat(R"("stop":null,"max_tokens":null,"n":null,"tools":null)")).ok());
}

TEST(QuestionReader, TakesThePromptsAndInputsThatOpenAiTakes) {
  for (const char* const value : {R"("text")", R"(["a","b"])", "[1,2,3]", "[[1,2],[3]]", "[1.0]"}) {
    const std::string text(value);
    EXPECT_EQ(message_of(R"({"model":"m","input":)" + text + "}", Endpoint::embeddings),
              "accepted");
    EXPECT_EQ(message_of(R"({"model":"m","prompt":)" + text + "}", Endpoint::completions),
              "accepted");
  }
  const auto expect = [](std::string_view value, std::string_view param, std::string_view code) {
    const Refusal refusal =
        refusal_of(R"({"model":"m","input":)" + std::string(value) + "}", Endpoint::embeddings);
    EXPECT_EQ(refusal.param, param) << value;
    EXPECT_EQ(refusal.code, code) << value;
  };
  expect("null", "input", "missing_required_parameter");
  expect("7", "input", "invalid_type");
  expect(R"("")", "input", "empty_string");
  expect("[]", "input", "empty_array");
  expect("[[1],[]]", "input[1]", "empty_array");
  expect(R"(["a",1])", "input[1]", "invalid_type");
  expect(R"([1,"a"])", "input[1]", "invalid_type");
  expect("[1.5]", "input[0]", "invalid_type");
  expect("[{}]", "input[0]", "invalid_type");
  expect(R"([[1,"a"]])", "input[0][1]", "invalid_type");
  EXPECT_EQ(refusal_of(R"({"model":"m"})", Endpoint::completions).param, "prompt");
  EXPECT_EQ(refusal_of(R"({"model":"m","input":"x"})", Endpoint::completions).param, "prompt");
}

// ---- JSON that is none -------------------------------------------------------------------------

TEST(QuestionReader, RefusesWhatIsNoJsonAndSaysWhere) {
  EXPECT_EQ(message_of(""), "The body is empty; it must be a JSON object.");
  EXPECT_EQ(message_of(" \n"), "The body is not valid JSON: it is empty, at byte 0.");
  EXPECT_EQ(message_of("[]"), "The body must be a JSON object.");
  EXPECT_EQ(message_of("\"{}\""), "The body must be a JSON object.");
  EXPECT_EQ(message_of("\xef\xbb\xbf{}"),
            "The body is not valid JSON: it begins with a byte order mark, at byte 0.");
  const auto expect = [](std::string_view members, std::string_view what, std::size_t at) {
    const std::string text = chat(members);
    EXPECT_EQ(message_of(text), "The body is not valid JSON: " + std::string(what) + ", at byte " +
                                    std::to_string(at + chat("").size()) + ".");
  };
  expect(R"("a" 1)", "expected a colon behind a member's name", 4);
  expect(R"("a":1 2)", "expected a comma or the end of an object", 6);
  expect(R"("a":[1 2])", "expected a comma or the end of an array", 7);
  expect(R"("a":tru)", "expected a value", 4);
  expect(R"("a":truex)", "expected a value", 4);
  expect(R"("a":NaN)", "expected a value", 4);
  expect(R"("a":+1)", "expected a value", 4);
  expect(R"("a":01)", "a bad number", 4);
  expect(R"("a":1.)", "a bad number", 4);
  expect(R"("a":1e)", "a bad number", 4);
  expect(R"("a":-)", "a bad number", 4);
  expect(R"("a":12"x")", "a bad number", 4);
  expect(R"("a":1e999)", "a number is out of range", 4);
  expect(R"("a":1.7976931348623159e308)", "a number is out of range", 4);
  expect(R"("a":0.1e-9999999999999999999999)", "a number is out of range", 4);
  expect(R"(a:1)", "expected the name of a member", 0);
  expect(R"("a":1,)", "expected the name of a member", 6);
  expect(R"("a":[1,])", "expected a value", 7);
  expect(R"("a":)", "expected a value", 4);
  expect(R"("a":1}{)", "there is something behind its end", 6);
  expect("\"a\":1}\0", "there is something behind its end", 6);
  expect(R"("a":"\x")", "a bad escape in a string", 5);
  expect(R"("a":"\u12G4")", "a bad escape in a string", 5);
  expect(R"("a":"ok\ud83d")", "a bad escape in a string", 7);
  expect(R"("a":"\ude00\ud83d")", "a bad escape in a string", 5);
  expect(R"("\ud83dx":1)", "a bad escape in a string", 1);
  expect("\"a\":\"\x01\"", "a string has a control byte in it that is not escaped", 5);
  expect("\"a\":\"\xff\"", "its text is not UTF-8", 5);
  expect("\"a\":\"\xc0\xaf\"", "its text is not UTF-8", 5);
  expect("\"a\":\"\xed\xa0\x80\"", "its text is not UTF-8", 5);
  expect("\"a\":\"\xf4\x90\x80\x80\"", "its text is not UTF-8", 5);
  expect("\"a\":\"x", "a string does not end", 4);
}

TEST(QuestionReader, RefusesANulAnywhere) {
  const std::string text = chat(R"("a":[1,"x"])");
  for (std::size_t at = 0; at <= text.size(); ++at) {
    std::string changed = text;
    changed.insert(at, 1, '\0');
    EXPECT_NE(message_of(changed), "accepted") << at;
  }
}

TEST(QuestionReader, TakesNumbersOfAnySizeThatADoubleCanHold) {
  EXPECT_EQ(message_of(chat(R"("a":1.7976931348623157e308)")), "accepted");
  EXPECT_EQ(message_of(chat(R"("a":1e-400)")), "accepted");
  EXPECT_EQ(message_of(chat(R"("a":0e99999999999999999999999999)")), "accepted");
  EXPECT_EQ(message_of(chat("\"a\":" + std::string(309, '1'))), "accepted");
  EXPECT_NE(message_of(chat("\"a\":" + std::string(310, '1'))), "accepted");
  EXPECT_NE(message_of(chat("\"a\":" + std::string(1'000'000, '9'))), "accepted");
  EXPECT_EQ(message_of(chat("\"a\":0." + std::string(1'000'000, '0') + "1")), "accepted");
}

TEST(QuestionReader, RefusesAMemberNamedTwiceAtAnyLevel) {
  const auto ambiguous = [](std::string_view members) {
    return message_of(chat(members)).starts_with("The body is ambiguous: an object names its");
  };
  EXPECT_TRUE(ambiguous(R"("model":"other")"));
  EXPECT_TRUE(ambiguous(R"("a":1,"b":2,"a":1)"));
  EXPECT_TRUE(ambiguous(R"("a":1,"\u0061":2)"));
  EXPECT_TRUE(ambiguous(R"("a":[{"b":{"c":1,"c":1}}])"));
  EXPECT_TRUE(ambiguous(R"("":1,"":2)"));
  EXPECT_TRUE(ambiguous(R"("a name longer than eight":1,"z":1,"a name longer than eight":2)"));
  EXPECT_FALSE(ambiguous(R"("a":{"b":1},"b":{"a":1},"A":1,"a\u0000":1,"a\u0000\u0000":1)"));
  EXPECT_FALSE(ambiguous(R"("a name longer than eight":1,"a name longer than eighu":2)"));
  EXPECT_EQ(message_of(R"({"model":"m","bb":1,"a":2,"bb":3})"),
            "The body is ambiguous: an object names its member 'bb' twice, again at byte 26.");
}

TEST(QuestionReader, FindsTheSecondOfAThousandMembersInAnyOrder) {
  Random random(7);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::string> names;
    for (int i = 0; i < 1000; ++i) names.push_back("member-number-" + std::to_string(i * 7919));
    for (std::size_t i = names.size(); i > 1; --i) {
      std::swap(names[i - 1], names[random.next() % i]);
    }
    std::string text;
    for (const std::string& name : names) text += "\"" + name + "\":0,";
    EXPECT_EQ(message_of(chat(text + "\"last\":0")), "accepted");
    const std::string& twice = names[random.next() % names.size()];
    EXPECT_NE(message_of(chat(text + "\"" + twice + "\":0")).find("'" + twice + "' twice"),
              std::string::npos);
  }
}

TEST(QuestionReader, CutsALongNameBetweenCharacters) {
  for (const std::string begin : {"", "x", "xx", "xxx"}) {
    std::string name = begin;
    while (name.size() < 100) name += "ab\xc3\xa9";
    const std::string message = message_of("{\"" + name + "\":1,\"" + name + "\":2}");
    EXPECT_NE(message.find("...' twice"), std::string::npos) << message;
    EXPECT_TRUE(simdjson::validate_utf8(message)) << message;
  }
}

TEST(QuestionReader, RefusesBodiesDeeperThan64) {
  const auto nested = [](std::size_t depth, std::string_view open, std::string_view close) {
    std::string text = R"({"model":"m","messages":[{"role":"user"}],"x":)";
    for (std::size_t i = 1; i < depth; ++i) text += open;
    text += "1";
    for (std::size_t i = 1; i < depth; ++i) text += close;
    return text + "}";
  };
  EXPECT_EQ(message_of(nested(64, "[", "]")), "accepted");
  EXPECT_EQ(message_of(nested(64, "{\"a\":", "}")), "accepted");
  EXPECT_NE(message_of(nested(65, "[", "]")).find("nested deeper than 64"), std::string::npos);
  EXPECT_NE(message_of(nested(65, "{\"a\":", "}")).find("nested deeper"), std::string::npos);
  EXPECT_NE(message_of(nested(1'000'000, "[", "]")).find("nested deeper"), std::string::npos);
  EXPECT_NE(message_of(std::string(1'000'000, '[')), "accepted");
  EXPECT_NE(message_of("{\"a\":" + std::string(1'000'000, '[')).find("nested deeper"),
            std::string::npos);
}

TEST(QuestionReader, RefusesAMillionMembers) {
  std::string text = R"({"model":"m","messages":[{"role":"user"}])";
  for (int i = 0; i < 1'000'000; ++i) text += ",\"" + std::to_string(i) + "\":0";
  EXPECT_EQ(message_of(text + "}"), "The body has more than 100000 members.");
  std::string spread = R"({"model":"m","messages":[{"role":"user"}],"x":[0)";
  for (int i = 0; i < 1'000'000; ++i) spread += ",{\"a\":0}";
  EXPECT_EQ(message_of(spread + "]}"), "The body has more than 100000 members.");
}

TEST(QuestionReader, TakesAMillionTokenIds) {
  std::string text = R"({"model":"m","input":[0)";
  for (int i = 0; i < 1'000'000; ++i) text += ",7";
  EXPECT_EQ(message_of(text + "]}", Endpoint::embeddings), "accepted");
}

TEST(QuestionReader, RefusesEveryTruncation) {
  for (const char behind : {'"', '}', ']', '0', '\\', ' ', ',', '\x80'}) {
    for (std::size_t length = 0; length < kChat.size(); ++length) {
      const Body body(kChat.substr(0, length), behind);
      QuestionReader reader;
      Question question;
      question.endpoint = Endpoint::chat;
      question.body = body.view();
      EXPECT_TRUE(reader.read(question, length % 2 == 0)) << length << behind;
    }
  }
  EXPECT_EQ(message_of(kChat), "accepted");
}

// simdjson's own parser is the judge of what is JSON at all.
TEST(QuestionReader, AcceptsNoDamagedBodyThatAnotherParserRefuses) {
  constexpr std::string_view kBytes = "{}[]:,\"\\ \n\t0123456789-+.eEtruefalsn\x00\x1f\x80\xc3\xff";
  Random random(11);
  QuestionReader reader;
  simdjson::dom::parser judge;
  int accepted = 0;
  for (int round = 0; round < 60'000; ++round) {
    std::string text(kChat);
    for (std::uint64_t changes = 1 + random.next() % 3; changes > 0; --changes) {
      const std::size_t at = random.next() % text.size();
      const char byte = kBytes[random.next() % kBytes.size()];
      switch (random.next() % 3) {
        case 0: text[at] = byte; break;
        case 1: text.insert(at, 1, byte); break;
        default: text.erase(at, 1); break;
      }
    }
    const Read one = read(reader, text, Endpoint::chat, round % 2 == 0);
    simdjson::dom::element element;
    const auto error = judge.parse(text).get(element);
    if (one.ok()) {
      ++accepted;
      EXPECT_EQ(error, simdjson::SUCCESS) << text;
    } else if (error == simdjson::SUCCESS && element.is_object()) {
      // Then it is not its grammar, but a name that is there twice or a parameter.
      EXPECT_TRUE(!one.refusal->param.empty() || one.refusal->code == "duplicate_member")
          << text << one.refusal->message;
    }
  }
  EXPECT_GT(accepted, 1000);
}

// ---- the canonical form ------------------------------------------------------------------------

TEST(Canonical, DoesNotSeeTheOrderOfMembersNorWhiteSpace) {
  EXPECT_EQ(
      canonical(R"("a":{"x":1,"yy":[2,{"q":3,"p":4}]},"top_p":1)"),
      canonical(" \"top_p\" : 1 ,\n\"a\" :\t{ \"yy\" :[ 2, {\"p\":4 ,\"q\":3} ] , \"x\":1 } "));
  EXPECT_NE(canonical(R"("a":[1,2])"), canonical(R"("a":[2,1])"));
}

TEST(Canonical, ComparesStringsAsTheyReadUnescaped) {
  EXPECT_EQ(canonical(R"("a":"A\n\/\u00e9\ud83d\ude00")"),
            canonical("\"a\":\"\\u0041\\u000a/\xc3\xa9\xf0\x9f\x98\x80\""));
  EXPECT_EQ(canonical(R"("ab":1)"), canonical(R"("\u0061b":1)"));
  EXPECT_NE(canonical("\"a\":\"\xc3\xa9\""), canonical("\"a\":\"e\xcc\x81\""));  // not folded
  const std::string as(200, 'A');
  std::string escaped;
  for (int i = 0; i < 200; ++i) escaped += "\\u0041";
  EXPECT_EQ(canonical("\"a\":\"" + as + "\""), canonical("\"a\":\"" + escaped + "\""));
}

TEST(Canonical, ComparesNumbersByValue) {
  const std::vector<std::vector<const char*>> equal = {
      {"1", "1.0", "1e0", "10e-1", "0.1E+1", "1.000e00"},
      {"0", "-0", "0.0", "-0e5", "0e-999"},
      {"1000", "1e3", "1.0e3", "10.00E2"},
      {"-1.5", "-15e-1"},
      {"18446744073709551615", "18446744073709551615.0", "1844674407370955161.5e1"},
      {"18446744073709551616"},
      {"9007199254740992"},
      {"9007199254740993"},
      {"0.1"},
      {"0.1000000000000000055511151231257827"},
      {"123456789012345678901234567890", "1234567890123456789012345678.90e2"},
      {"1e-5", "0.00001"},
      {"1e5"},
      {"-1"},
      {"11"},
  };
  std::map<std::string, std::size_t> seen;
  for (std::size_t i = 0; i < equal.size(); ++i) {
    for (const char* const number : equal[i]) {
      const auto [at, fresh] = seen.emplace(canonical("\"a\":" + std::string(number)), i);
      EXPECT_EQ(at->second, i) << number;
      EXPECT_EQ(fresh, number == equal[i].front()) << number;
    }
  }
}

TEST(Canonical, LeavesOutWhatIsNotAskedAndNothingElse) {
  const std::string plain = canonical("");
  EXPECT_EQ(plain, canonical(R"("user":"u","metadata":{"a":"b"},"stream":true,)"
                             R"("stream_options":{"include_usage":true})"));
  EXPECT_NE(plain, canonical(R"("temperature":1)"));  // absent is not the default
  EXPECT_NE(plain, canonical(R"("stop":null)"));
  EXPECT_NE(plain, canonical(R"("unknown":0)"));
  EXPECT_NE(canonical(R"("x":{"user":"u"})"), canonical(R"("x":{"user":"v"})"));
  EXPECT_EQ(
      plain,
      read(R"({"model":"another","messages":[{"content":"x","role":"user"}]})").question.canonical);
}

// A random value, written in one of its many spellings; `plain` is its one plain spelling.
class Spelling {
 public:
  explicit Spelling(std::uint64_t seed) : random_(seed) {}

  struct Value {
    int kind = 0;
    std::string scalar;
    std::map<std::string, Value> members;
    std::vector<Value> elements;
  };

  Value value(int depth) {
    Value made;
    made.kind = static_cast<int>(random_.next() % (depth > 0 ? 6 : 4));
    if (made.kind == 0) made.scalar = std::array{"null", "true", "false"}[random_.next() % 3];
    if (made.kind == 1) made.scalar = std::to_string(random_.next() % 20);
    if (made.kind >= 2 && made.kind < 4) made.scalar = word();
    for (std::uint64_t i = made.kind < 4 ? 0 : random_.next() % 4; i > 0; --i) {
      if (made.kind == 4) {
        made.elements.push_back(value(depth - 1));
      } else {
        made.members.emplace(word(), value(depth - 1));
      }
    }
    return made;
  }

  static std::string plain(const Value& value) {
    std::string out;
    switch (value.kind) {
      case 0:
      case 1: return value.scalar;
      case 2:
      case 3: return "\"" + value.scalar + "\"";
      case 4:
        for (const Value& element : value.elements) out += plain(element) + ",";
        return "[" + out + "]";
      default:
        for (const auto& [name, member] : value.members) out += name + ":" + plain(member) + ",";
        return "{" + out + "}";
    }
  }

  std::string spell(const Value& value) {
    std::string out = gap();
    if (value.kind == 0) {
      out += value.scalar;
    } else if (value.kind == 1) {
      out += value.scalar + std::array{"", ".0", "e0", ".00E+0"}[random_.next() % 4];
    } else if (value.kind < 4) {
      out += spell(value.scalar);
    } else if (value.kind == 4) {
      out += "[";
      for (std::size_t i = 0; i < value.elements.size(); ++i) {
        out += (i > 0 ? "," : "") + spell(value.elements[i]);
      }
      out += gap() + "]";
    } else {
      std::vector<std::string> members;
      for (const auto& [name, member] : value.members) {
        members.push_back(gap() + spell(name) + gap() + ":" + spell(member));
      }
      for (std::size_t i = members.size(); i > 1; --i) {
        std::swap(members[i - 1], members[random_.next() % i]);
      }
      out += "{";
      for (std::size_t i = 0; i < members.size(); ++i) out += (i > 0 ? "," : "") + members[i];
      out += gap() + "}";
    }
    return out + gap();
  }

 private:
  std::string word() {
    std::string out;
    for (std::uint64_t i = random_.next() % 4; i > 0; --i) out += "ab[{s0+"[random_.next() % 7];
    return random_.next() % 8 == 0 ? out + "a word that is longer than eight" : out;
  }
  std::string spell(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
      if (random_.next() % 4 == 0) {
        out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      } else {
        out += c;
      }
    }
    return out + "\"";
  }
  std::string gap() { return std::array{"", "", " ", "\n\t"}[random_.next() % 4]; }

  Random random_;
};

TEST(Canonical, IsEqualExactlyWhereTheMeaningIs) {
  Spelling spelling(3);
  QuestionReader reader;
  std::map<std::string, std::string> meaning_of;  // by canonical form
  std::map<std::string, std::string> form_of;     // by meaning
  for (int round = 0; round < 20'000; ++round) {
    const auto value = spelling.value(3);
    const std::string meaning = Spelling::plain(value);
    const std::string text = chat("\"v\":" + spelling.spell(value));
    const Read one = read(reader, text);
    ASSERT_TRUE(one.ok()) << text << one.refusal->message;
    const std::string& form = one.question.canonical;
    EXPECT_EQ(meaning_of.emplace(form, meaning).first->second, meaning);
    EXPECT_EQ(form_of.emplace(meaning, form).first->second, form) << text;
  }
  EXPECT_GT(form_of.size(), 4000u);
  EXPECT_EQ(form_of.size(), meaning_of.size());
}

// ---- memory ------------------------------------------------------------------------------------

TEST(QuestionReader, AllocatesNothingOnceItHasSeenSuchBodies) {
  if (!kCounted) GTEST_SKIP() << "a sanitizer allocates by itself";
  QuestionReader reader;
  const Body body(kChat);
  Question question;
  question.endpoint = Endpoint::chat;
  question.body = body.view();
  const std::size_t cold = allocations;
  ASSERT_FALSE(reader.read(question, true));
  const std::size_t before = allocations;
  EXPECT_GT(before, cold);  // so the count counts
  for (int i = 0; i < 100; ++i) ASSERT_FALSE(reader.read(question, true));
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace penstock::dialect
