#include "dialect/stream.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <vector>

#include "dialect/answer.h"

namespace penstock::dialect {
namespace {

struct Cut {
  std::string raw;
  std::string data;
  std::string name;
  bool operator==(const Cut&) const = default;
};

// The events of `text`, fed in pieces that end at each of `cuts`. Tails are added to their events.
std::vector<Cut> cut(std::string_view text, std::vector<std::size_t> cuts) {
  EventSplitter splitter;
  std::vector<Cut> events;
  cuts.push_back(text.size());
  std::size_t from = 0;
  for (const std::size_t to : cuts) {
    const std::string piece(text.substr(from, to - from));  // so that asan sees its end
    splitter.feed(piece);
    while (const auto event = splitter.next()) {
      if (event->tail) {
        events.back().raw += event->raw;
      } else {
        events.push_back(
            {std::string(event->raw), std::string(event->data), std::string(event->name)});
      }
    }
    from = to;
  }
  return events;
}

constexpr std::string_view kMixed =
    "\xef\xbb\xbf"
    "data: one\n\n"
    ": a comment\r\n\r\n"
    "event: error\rdata:two\rdata:  three\r\r"
    "id: 7\nretry: 3\ndata\n\n"
    "\n"
    "data: gr\xc3\xbc\xc3\x9f\r\n\n"
    "data: last\n\n";

TEST(EventSplitter, KnowsEveryEndOfALine) {
  const std::vector<Cut> events = cut(kMixed, {});
  ASSERT_EQ(events.size(), 7u);
  EXPECT_EQ(events[0].data, "one");
  EXPECT_EQ(events[1].data, "");
  EXPECT_EQ(events[2].data, "two\n three");
  EXPECT_EQ(events[2].name, "error");
  EXPECT_EQ(events[3].data, "");
  EXPECT_EQ(events[4].raw, "\n");
  EXPECT_EQ(events[5].data, "gr\xc3\xbc\xc3\x9f");
  std::string all;
  for (const Cut& event : events) all += event.raw;
  EXPECT_EQ(all, kMixed);
}

TEST(EventSplitter, SeesTheSameEventsHoweverTheyAreCut) {
  const std::vector<Cut> whole = cut(kMixed, {});
  for (std::size_t a = 0; a <= kMixed.size(); ++a) {
    for (std::size_t b = a; b <= kMixed.size(); ++b) {
      ASSERT_EQ(cut(kMixed, {a, b}), whole) << a << ' ' << b;
    }
  }
  std::vector<std::size_t> each;
  for (std::size_t i = 1; i < kMixed.size(); ++i) each.push_back(i);
  EXPECT_EQ(cut(kMixed, each), whole);
}

TEST(EventSplitter, GivesNoEventThatIsNotWhole) {
  EXPECT_TRUE(cut("data: x\n", {}).empty());
  EXPECT_TRUE(cut("data: x", {3}).empty());
}

TEST(EventSplitter, StopsAtAnEventOfMoreThanAMebibyte) {
  EventSplitter splitter;
  const std::string piece(64 * 1024, 'x');
  std::size_t fed = 0;
  while (!splitter.too_large() && fed < 3 * EventSplitter::kMostBytes) {
    splitter.feed(piece);
    EXPECT_FALSE(splitter.next());
    fed += piece.size();
  }
  EXPECT_TRUE(splitter.too_large());
  EXPECT_LE(splitter.rest().size(), EventSplitter::kMostBytes);
  EXPECT_LE(fed, EventSplitter::kMostBytes + piece.size());

  EventSplitter whole;
  const std::string line = "data: " + std::string(EventSplitter::kMostBytes, 'x') + "\n\n";
  whole.feed(line);
  EXPECT_FALSE(whole.next());
  EXPECT_TRUE(whole.too_large());
}

// ---- watching ----------------------------------------------------------------------------------

std::string chunk(std::string_view choices, std::string_view more = "") {
  return R"(data: {"id":"c1","object":"chat.completion.chunk","created":5,"model":"m","choices":)" +
         std::string(choices) + std::string(more) + "}\n\n";
}

const std::string kStream =
    chunk(R"([{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}])",
          R"(,"usage":null)") +
    ": ping\n\n" +
    chunk(
        "[{\"index\":0,\"delta\":{\"content\":\"gr\xc3\xbc\xc3\x9f \\ud83d\"},"
        "\"finish_reason\":null}]",
        R"(, "usage" : null)") +
    chunk(R"([{"index":0,"delta":{"content":"\ude00!"},"finish_reason":null}])",
          R"(,"usage":null,"x":1)") +
    chunk(R"([{"index":0,"delta":{},"finish_reason":"stop"}])", R"(,"usage":null)") +
    chunk("[]", R"(,"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,)"
                R"("prompt_tokens_details":{"cached_tokens":3},)"
                R"("completion_tokens_details":{"reasoning_tokens":2}})") +
    "data: [DONE]\n\n";

struct Watched {
  std::string passed;
  StreamReader reader;
  bool failed = false;
};

Watched watch(std::string_view text, bool strip, std::size_t step = 0) {
  Watched watched{{}, StreamReader(strip), false};
  if (step == 0) step = text.size();
  for (std::size_t at = 0; at < text.size(); at += step) {
    const std::string piece(text.substr(at, step));
    const auto passed = watched.reader.feed(piece);
    if (!passed) {
      EXPECT_EQ(passed.error().kind, Kind::broken);
      EXPECT_EQ(passed.error().source, Source::engine);
      watched.failed = true;
      return watched;
    }
    watched.passed += *passed;
  }
  return watched;
}

TEST(StreamReader, PassesWhatCameBeforeAMalformedEventThenFails) {
  const std::string good = chunk(R"([{"index":0,"delta":{"content":"a"}}])");
  const std::string behind = good + "data: [DONE]\n\n";
  for (const std::string& bad : {std::string("data: {\"choices\":[\n\n"),
                                 "data: " + std::string(EventSplitter::kMostBytes, 'x') + "\n\n"}) {
    StreamReader reader;
    const std::string together = good + good + bad + behind;
    const auto passed = reader.feed(together);
    ASSERT_TRUE(passed);
    EXPECT_EQ(*passed, good + good);
    EXPECT_TRUE(reader.broken());
    EXPECT_FALSE(reader.done());
    EXPECT_FALSE(reader.feed(behind));
    EXPECT_FALSE(reader.feed(behind));
    EXPECT_FALSE(frames_without_usage(together));
    EXPECT_FALSE(assemble(together));
    EXPECT_TRUE(watch(bad, false).failed) << "nothing came before";
  }
}

TEST(StreamReader, PassesEveryByteAndSeesWhatTheStreamWas) {
  for (std::size_t step = 1; step <= kStream.size(); ++step) {
    const Watched watched = watch(kStream, false, step);
    ASSERT_FALSE(watched.failed);
    ASSERT_EQ(watched.passed, kStream) << step;
    const StreamReader& reader = watched.reader;
    EXPECT_TRUE(reader.done() && reader.whole());
    EXPECT_FALSE(reader.failed() || reader.content_filtered() || reader.tool_calls());
    ASSERT_TRUE(reader.usage());
    EXPECT_EQ(reader.usage()->input, 9u);
    EXPECT_EQ(reader.usage()->output, 4u);
    EXPECT_EQ(reader.usage()->cached_input, 3u);
    EXPECT_EQ(reader.usage()->reasoning, 2u);
    EXPECT_EQ(reader.chunks(), 5u);
  }
}

TEST(StreamReader, TakesOutTheUsageAndNothingElse) {
  std::string expected = kStream;
  for (const std::string_view cut : {R"(,"usage":null)", R"(, "usage" : null)"}) {
    for (std::size_t at; (at = expected.find(cut)) != std::string::npos;) {
      expected.erase(at, cut.size());
    }
  }
  const std::size_t usage = expected.find("data: ", expected.rfind("\"stop\""));
  expected.erase(usage, expected.find("data: [DONE]") - usage);
  for (std::size_t step = 1; step <= kStream.size(); ++step) {
    ASSERT_EQ(watch(kStream, true, step).passed, expected) << step;
  }
  EXPECT_EQ(*frames_without_usage(kStream), expected);
}

TEST(StreamReader, TakesOutTheUsageWhereverItStands) {
  const auto stripped = [](std::string_view event) { return watch(event, true).passed; };
  EXPECT_EQ(stripped("data: {\"usage\":null,\"choices\":[]}\n\n"), "data: {\"choices\":[]}\n\n");
  EXPECT_EQ(stripped("data: {\"usage\":null}\n\n"), "data: {}\n\n");
  EXPECT_EQ(stripped("data: { \"usage\" : null , \"a\":1}\r\n\r\n"), "data: {  \"a\":1}\r\n\r\n");
  EXPECT_EQ(stripped("data: {\"a\":1,\ndata: \"usage\":null,\ndata: \"b\":2}\n\n"),
            "data: {\"a\":1, \"b\":2}\n\n");
  // Not the gateway's doing: an engine that counts along, a usage within something else.
  const std::string counting =
      chunk(R"([{"index":0,"delta":{}}])", R"(,"usage":{"total_tokens":1})");
  EXPECT_EQ(stripped(counting), counting);
  const std::string inner = chunk(R"([{"index":0,"delta":{"usage":null}}])");
  EXPECT_EQ(stripped(inner), inner);
  EXPECT_EQ(stripped("data: {\"choices\":[],\"usage\":{\"total_tokens\":1}}\r\n\r\n"), "");
}

TEST(StreamReader, SeesErrorsFiltersAndToolCalls) {
  EXPECT_TRUE(watch("data: {\"error\":{\"message\":\"x\"}}\n\n", false).reader.failed());
  EXPECT_FALSE(watch("data: {\"error\":null,\"choices\":[]}\n\n", false).reader.failed());
  EXPECT_TRUE(watch(chunk(R"([{"index":0,"delta":{},"finish_reason":"content_filter"}])"), false)
                  .reader.content_filtered());
  EXPECT_TRUE(watch(chunk(R"([{"index":0,"delta":{"tool_calls":[{"index":0}]}}])"), false)
                  .reader.tool_calls());
  EXPECT_FALSE(
      watch(chunk(R"([{"index":0,"delta":{"tool_calls":[ ]}}])"), false).reader.tool_calls());
}

TEST(StreamReader, IsWholeOnlyWhenEveryChoiceIsFinished) {
  const std::string done = "data: [DONE]\n\n";
  const std::string first = chunk(R"([{"index":0,"delta":{},"finish_reason":"stop"}])");
  const std::string begun = chunk(R"([{"index":127,"delta":{},"finish_reason":null}])");
  const std::string ended = chunk(R"([{"index":127,"delta":{},"finish_reason":"length"}])");
  const auto whole = [](const std::string& text) { return watch(text, false).reader.whole(); };
  EXPECT_TRUE(whole(first + done));
  EXPECT_FALSE(whole(first));
  EXPECT_FALSE(whole(done));
  EXPECT_FALSE(whole(begun + first + done));
  EXPECT_TRUE(whole(begun + first + ended + done));
  EXPECT_FALSE(whole(first + "data: {\"error\":\"x\"}\n\n" + done));
  EXPECT_TRUE(watch(chunk(R"([{"index":128,"delta":{}}])"), false).failed);
}

TEST(StreamReader, FlagsEventsThatAreNoChunks) {
  for (const char* const event :
       {"data: x\n\n", "data: {\n\n", "data: []\n\n", "data: {}x\n\n", "data: {\"a\":1,}\n\n",
        "data: {\"a\":01}\n\n", "data: {\"choices\":[{]}\n\n", "data: {\"choices\":[7]}\n\n",
        "data: {\"a\":\"\x01\"}\n\n", "data: {\"a\":\"\xff\"}\n\n",
        "data: {\"a\":\"\xed\xa0\x80\"}\n\n", "data: {\"choices\":{}}\n\n",
        "data: {\"choices\":\"x\"}\n\n", "data: [DONE\n\n"}) {
    EXPECT_TRUE(watch(event, false).failed) << event;
    EXPECT_TRUE(watch(event, true, 1).failed) << event;
  }
  EXPECT_FALSE(watch("data: {\"choices\":null}\n\n", false).failed) << "as some usage comes";
  EXPECT_TRUE(watch("data: {\"a\":" + std::string(100'000, '[') + "\n\n", false).failed);
  EXPECT_TRUE(watch("data: " + std::string(2'000'000, 'x'), false, 4096).failed);
}

TEST(StreamReader, HoldsBackWhatIsNotWholeSoThatAnErrorCanFollow) {
  StreamReader reader;
  const std::string event = chunk(R"([{"index":0,"delta":{}}])");
  const std::string more = event + event.substr(0, 20);
  const auto first = reader.feed(more);
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, event);
  const auto second = reader.feed(std::string_view(event).substr(20));
  ASSERT_TRUE(second);
  EXPECT_EQ(*second, event);
}

TEST(StreamReader, TakesADoneWithoutItsEmptyLine) {
  const std::string event = chunk(R"([{"index":0,"delta":{},"finish_reason":"stop"}])");
  for (const std::string end : {"data: [DONE]\n", "data:[DONE]\r\n", "data: [DONE]\r\n\r\n"}) {
    for (std::size_t step = 1; step < end.size() + 2; ++step) {
      const Watched watched = watch(event + end, false, step);
      EXPECT_EQ(watched.passed, event + end);
      EXPECT_TRUE(watched.reader.whole());
    }
  }
  EXPECT_FALSE(watch(event + "data: [DONE]", false).reader.done());
}

TEST(StreamReader, IsDoneByTheDoneLineHoweverWhatFollowsItWasCut) {
  const std::string event = chunk(R"([{"index":0,"delta":{},"finish_reason":"stop"}])");
  for (const std::string end : {"data: [DONE]\n!", "data: [DONE]\r: x", "data: [DONE]\ndata: x\n\n",
                                "data:[DONE]\r\n: x\r\ndata: {\r\n\r\n"}) {
    const std::string line = end.substr(0, end.find_last_of("\r\n", end.find("]") + 2) + 1);
    for (std::size_t step = 1; step < event.size() + end.size() + 1; ++step) {
      const Watched watched = watch(event + end, false, step);
      EXPECT_EQ(watched.passed, event + line) << step;
      EXPECT_TRUE(watched.reader.whole() && !watched.failed) << step;
    }
  }
}

TEST(StreamReader, PassesNothingMoreAfterDone) {
  const std::string done = "data: [DONE]\n\n";
  EXPECT_EQ(watch(done + chunk("[]") + "\n", false).passed, done + "\n");
  // Not an empty data line either, in the same event or in one of its own.
  EXPECT_EQ(watch("data: [DONE]\ndata\n\n", false, 1).passed, "data: [DONE]\n");
  EXPECT_EQ(watch("data: [DONE]\ndata\n\n", false).passed, "data: [DONE]\n");
  EXPECT_EQ(watch(done + "data:\n\n", false).passed, done);
}

TEST(StreamReader, CountsUsageThatNoNumberFits) {
  const Watched watched = watch(
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1e400}}\n\n",
      false);
  ASSERT_TRUE(watched.reader.usage());
  EXPECT_EQ(watched.reader.usage()->input, 0u);
  EXPECT_EQ(watched.reader.usage()->output, 0u);
}

// ---- from streams to answers and back -----------------------------------------------------------

bool is_json(std::string_view text) {
  simdjson::dom::parser parser;
  return parser.parse(simdjson::padded_string(text)).error() == simdjson::SUCCESS;
}

TEST(Assemble, MergesTheDeltasOfAChat) {
  const auto answer = assemble(kStream);
  ASSERT_TRUE(answer);
  EXPECT_EQ(*answer,
            "{\"id\":\"c1\",\"object\":\"chat.completion\",\"created\":5,\"model\":\"m\",\"x\":1,"
            "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
            "\"content\":\"gr\xc3\xbc\xc3\x9f \\ud83d\\ude00!\"},\"finish_reason\":\"stop\"}],"
            "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13,"
            "\"prompt_tokens_details\":{\"cached_tokens\":3},"
            "\"completion_tokens_details\":{\"reasoning_tokens\":2}}}");
  EXPECT_TRUE(is_json(*answer));
}

TEST(Assemble, MergesToolCallsByIndexAndKeepsWhatItDoesNotKnow) {
  const std::string stream =
      chunk(R"([{"index":1,"delta":{"role":"assistant","content":null},"finish_reason":null}])") +
      chunk(R"([{"index":1,"delta":{"tool_calls":[{"index":1,"id":"b","type":"function",)"
            R"("function":{"name":"g","arguments":""}}]}}])") +
      chunk(R"([{"index":1,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function",)"
            R"("function":{"name":"f","arguments":"{\"x"}}]}}])") +
      chunk(
          R"([{"index":0,"delta":{"reasoning_content":"so "},"logprobs":{"content":[{"token":"so"}]}}])") +
      chunk(R"([{"index":1,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function",)"
            R"("function":{"arguments":"\":1}"}}]}}])") +
      chunk(R"([{"index":0,"delta":{"reasoning_content":"on","vendor":{"k":7}},)"
            R"("logprobs":{"content":[{"token":"on"}]}}])") +
      chunk(R"([{"index":0,"delta":{},"finish_reason":"stop"},)"
            R"({"index":1,"delta":{},"finish_reason":"tool_calls"}])",
            R"(,"system_fingerprint":"fp")") +
      "data: [DONE]\n\n";
  const auto answer = assemble(stream);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(is_json(*answer));
  EXPECT_EQ(
      *answer,
      R"({"id":"c1","object":"chat.completion","created":5,"model":"m","system_fingerprint":"fp",)"
      R"("choices":[{"index":0,"message":{"reasoning_content":"so on","vendor":{"k":7},)"
      R"("role":"assistant","content":null},"logprobs":{"content":[{"token":"so"},{"token":"on"}]},)"
      R"("finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":null,)"
      R"("tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},)"
      R"({"id":"b","type":"function","function":{"name":"g","arguments":""}}]},)"
      R"("finish_reason":"tool_calls"}]})");
}

TEST(Assemble, MergesTextCompletions) {
  const Made made{"cmpl-1", "m", 5};
  std::string stream;
  write_completion_event(stream, made, {false, "one ", "", true});
  write_completion_event(stream, made, {false, "two", "length", true});
  write_usage_event(stream, made, Usage{1, 2, 0, 0}, Endpoint::completions);
  stream += kDoneEvent;
  EXPECT_EQ(*assemble(stream),
            R"({"id":"cmpl-1","object":"text_completion","created":5,"model":"m","choices":)"
            R"([{"index":0,"text":"one two","logprobs":null,"finish_reason":"length"}],)"
            R"("usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})");
}

TEST(Assemble, MakesNothingOfAStreamThatIsNotWhole) {
  for (std::size_t length = 0; length + 2 < kStream.size(); ++length) {
    EXPECT_FALSE(assemble(kStream.substr(0, length))) << length;
  }
  EXPECT_FALSE(assemble("data: {\"error\":{}}\n\ndata: [DONE]\n\n"));
}

TEST(Split, ComesBackToTheSameAnswer) {
  std::string prose;
  for (int i = 0; i < 100; ++i) prose += "wa\\u00e9ter \\ud83d\\ude00 is\\n \xf0\x9f\x98\x80 deep ";
  const std::vector<std::string> answers = {
      R"({"id":"c","object":"chat.completion","created":5,"model":"m","x":{"y":1},"choices":[{"index":0,)"
      R"("message":{"role":"assistant","content":")" +
          prose + R"("},"logprobs":null,"finish_reason":"stop"}],"usage":{"total_tokens":3}})",
      R"({"id":"c","object":"chat.completion","created":5,"model":"m","choices":[{"index":0,)"
      R"("message":{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function",)"
      R"("function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function",)"
      R"("function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"},)"
      R"({"index":1,"message":{"role":"assistant","content":"x","reasoning_content":"because"},)"
      R"("finish_reason":"stop"}],"usage":{"total_tokens":3}})",
      R"({"id":"c","object":"text_completion","created":5,"model":"m","choices":[{"index":0,"text":")" +
          prose +
          R"(","logprobs":{"tokens":["a"]},"finish_reason":"stop"}],"usage":{"total_tokens":3}})",
  };
  simdjson::dom::parser one;
  simdjson::dom::parser two;
  for (const std::string& answer : answers) {
    const auto frames = split(answer, true);
    ASSERT_TRUE(frames);
    EXPECT_TRUE(watch(*frames, false, 7).reader.whole());
    const auto back = assemble(*frames);
    ASSERT_TRUE(back);
    // Compared by the canonical order of names: members may have changed places.
    EXPECT_EQ(back->size(), answer.size()) << *back;
    EXPECT_TRUE(is_json(*back));
    for (const char* const pointer :
         {"/choices/0/message/content", "/choices/0/text",
          "/choices/0/message/tool_calls/1/function/name", "/choices/1/message/reasoning_content",
          "/x/y", "/usage/total_tokens", "/choices/0/finish_reason"}) {
      simdjson::dom::element a;
      simdjson::dom::element b;
      const auto first = one.parse(answer).at_pointer(pointer).get(a);
      const auto second = two.parse(*back).at_pointer(pointer).get(b);
      ASSERT_EQ(first, second) << pointer << *back;
      if (first == simdjson::SUCCESS) {
        EXPECT_EQ(simdjson::minify(a), simdjson::minify(b));
      }
    }
  }
}

TEST(Split, SendsUsageOnlyWhereItIsWanted) {
  std::string answer;
  write_chat(answer, {"c", "m", 5}, "one two", "stop", Usage{1, 2, 0, 0});
  const auto with = split(answer, true);
  const auto without = split(answer, false);
  ASSERT_TRUE(with && without);
  EXPECT_EQ(without->find("usage"), std::string::npos);
  EXPECT_NE(with->find("\"choices\":[],\"usage\":{\"prompt_tokens\":1"), std::string::npos);
  EXPECT_EQ(*frames_without_usage(*with), *without);
  EXPECT_TRUE(with->ends_with(kDoneEvent));
}

TEST(Split, TakesAChoiceWithoutAnIndexByItsPlace) {
  const std::string choices = R"([{"message":{"content":"a"},"finish_reason":"stop"},)"
                              R"({"index":"x","message":{"content":"b"},"finish_reason":null}])";
  const auto frames = split(R"({"choices":)" + choices + "}", false);
  ASSERT_TRUE(frames);
  EXPECT_FALSE(watch(*frames, false).reader.whole()) << *frames;  // as the answer was not
  const auto joined = assemble(
      chunk(R"([{"text":"a","finish_reason":"stop"},{"text":"b","finish_reason":"stop"}])") +
      "data: [DONE]\n\n");
  ASSERT_TRUE(joined);
  EXPECT_NE(joined->find(R"({"text":"a","finish_reason":"stop"},{"text":"b")"), std::string::npos)
      << *joined;
}

TEST(Split, WritesEachEventOnOneLine) {
  const auto frames = split(
      "{\n \"object\":\"chat.completion\",\r\n \"choices\" : [ {\n \"message\":{\n"
      "\"content\":\"a\" },\n \"logprobs\":{\n\"content\":[\n]},\"finish_reason\":\"stop\"} ]\n}\n",
      false);
  ASSERT_TRUE(frames);
  EXPECT_TRUE(watch(*frames, false).reader.whole()) << *frames;
}

TEST(Split, RefusesWhatHasNoChoices) {
  EXPECT_FALSE(split("", false));
  EXPECT_FALSE(split("{}", false));
  EXPECT_FALSE(split(R"({"choices":[]})", false));
  EXPECT_FALSE(split(R"({"choices":[{"index":0}])", false));
}

}  // namespace
}  // namespace penstock::dialect
