#include "complexity/complexity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "complexity/reading.h"
#include "complexity/sections.h"
#include "complexity/words.h"
#include "dialect/json.h"

namespace penstock::complexity {
namespace {

// A chat of one message.
std::string chat(std::string_view text) {
  std::string body;
  dialect::JsonWriter json(body);
  json.begin_object().key("messages").begin_array();
  json.begin_object().member("role", "user").member("content", text).end_object();
  json.end_array().end_object();
  body.reserve(body.size() + 64);
  return body;
}

std::optional<Complexity> judge(std::string_view body, Endpoint endpoint = Endpoint::chat) {
  Analyser analyser;
  return analyser.judge(endpoint, body);
}

float score(std::string_view text) {
  const auto judged = judge(chat(text));
  EXPECT_TRUE(judged) << text;
  return judged ? judged->score : -1;
}

float feature(const Analyser& analyser, std::string_view name) {
  for (std::size_t i = 0; i < kFeatures; ++i) {
    if (weights()[i].name == name) return analyser.features()[i];
  }
  ADD_FAILURE() << "there is no feature " << name;
  return 0;
}

float feature(std::string_view body, std::string_view name) {
  Analyser analyser;
  EXPECT_TRUE(analyser.judge(Endpoint::chat, body));
  return feature(analyser, name);
}

std::uint32_t sign(std::string_view text, Sign sign) {
  static const Words words;
  Counts counts;
  words.scan(text, counts);
  return counts.signs[static_cast<std::size_t>(sign)];
}

TEST(Complexity, AGreetingIsSimpleAndADesignIsComplex) {
  EXPECT_EQ(Class::simple, judge(chat("Hello, thanks!"))->kind);
  EXPECT_EQ(Class::simple, judge(chat("What is the capital of Norway?"))->kind);
  EXPECT_EQ(Class::complex,
            judge(chat("Design a distributed ledger for 12 regions without downtime, weigh the "
                       "trade-offs between consistency and latency, then justify each step of the "
                       "migration, and show how it behaves when a replica fails."))
                ->kind);
}

TEST(Complexity, ScoresAreHundredthsBetweenNoneAndOne) {
  std::string everything;
  for (const Weight& weight : weights()) everything += std::string(weight.name) + ", ";
  for (const std::string& text :
       {std::string("?"), std::string("prove "), everything, std::string(20000, 'x'),
        std::string(3000, ','), std::string("just one word yes or no")}) {
    const float got = score(text);
    EXPECT_GE(got, 0);
    EXPECT_LE(got, 1);
    EXPECT_NEAR(got * 100, std::round(got * 100), 1e-3);
  }
}

TEST(Complexity, ClassesAreThirds) {
  EXPECT_EQ(Class::simple, class_of(0));
  EXPECT_EQ(Class::simple, class_of(0.33F));
  EXPECT_EQ(Class::moderate, class_of(0.34F));
  EXPECT_EQ(Class::moderate, class_of(0.66F));
  EXPECT_EQ(Class::complex, class_of(0.67F));
  EXPECT_EQ(Class::complex, class_of(1));
  EXPECT_EQ("moderate", name_of(Class::moderate));
}

TEST(Complexity, OnlyChatsAndCompletionsHaveOne) {
  const std::string body = R"({"model":"m","input":"prove it","prompt":"prove it"})";
  EXPECT_FALSE(judge(body, Endpoint::embeddings));
  EXPECT_FALSE(judge(body, Endpoint::models));
  EXPECT_FALSE(judge(body, Endpoint::other));
  EXPECT_FALSE(judge(body, Endpoint::chat));
  EXPECT_TRUE(judge(body, Endpoint::completions));
}

TEST(Complexity, WhereNobodyAsksThereIsNone) {
  for (const std::string body :
       {R"({})", R"({"messages":[]})", R"({"messages":[{"role":"system","content":"be brief"}]})",
        R"({"messages":[{"role":"user","content":""}]})",
        R"({"messages":[{"role":"user","content":null}]})",
        R"({"messages":[{"role":"user","content":[]}]})", R"({"messages":"x"})", R"([])", "",
        "{"}) {
    EXPECT_FALSE(judge(body)) << body;
  }
  EXPECT_FALSE(judge(R"({"prompt":[1,2,3]})", Endpoint::completions));
  EXPECT_FALSE(judge(R"({"prompt":[[1],[2]]})", Endpoint::completions));
}

TEST(Complexity, TheLastQuestionOfTheUserCounts) {
  const std::string body =
      R"({"messages":[{"role":"user","content":"Prove Fermat's last theorem."},)"
      R"({"role":"assistant","content":"No."},{"role":"user","content":"thanks"},)"
      R"({"role":"assistant","content":"You are welcome: theorem, lemma, proof."}]})";
  EXPECT_EQ(0, feature(body, "prove"));
  EXPECT_EQ(1, feature(body, "social"));
  EXPECT_EQ(1, feature(body, "turns"));
  EXPECT_EQ(Class::simple, judge(body)->kind);
}

TEST(Complexity, PartsAreReadAndPicturesAreNone) {
  const std::string body =
      R"({"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:,prove"}},)"
      R"({"type":"text","text":"Prove"},{"type":"text","text":"this."}],"role":"user"}]})";
  EXPECT_EQ(1, feature(body, "prove"));
  EXPECT_NEAR(std::log2(3), feature(body, "words"), 1e-5);
  const std::string picture =
      R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]})";
  EXPECT_TRUE(judge(picture));
}

TEST(Complexity, ToolsAndInstructionsAreCounted) {
  const std::string body =
      R"({"tools":[{"type":"function"},{"type":"function"},{"type":"function"}],"messages":[)"
      R"({"role":"developer","content":"Answer in one word."},{"role":"user","content":"x"}]})";
  EXPECT_EQ(2, feature(body, "tools"));
  EXPECT_EQ(1, feature(body, "system_brief"));
  EXPECT_EQ(0, feature(body, "brief"));
}

TEST(Complexity, WhatIsPastedIsNotWhatIsAsked) {
  std::string mail = "What is the invoice number?\n\n";
  for (int i = 0; i < 20; ++i) {
    mail += "Prove, derive and design, with every trade-off, the architecture of it.\n\n";
  }
  mail += "Kind regards, Ines";
  const std::string body = chat(mail);
  EXPECT_EQ(0, feature(body, "prove"));
  EXPECT_GT(feature(body, "pasted"), 3);
  const std::string quoted = chat(
      "Which word is misspelled in \"we prove and derive teh architecture, and then we "
      "design the proof of the theorem\"?");
  EXPECT_EQ(0, feature(quoted, "prove"));
  EXPECT_EQ(1, feature(quoted, "small_task"));
}

TEST(Complexity, CodeIsNoProse) {
  const std::string body = chat(
      "Where is the bug?\n\n```go\nprove := derive(theorem)\nwhy(how)\n```\n\nint main() {\n  "
      "design();\n}\n[12:03:55] prove it\n2025-06-02 04:00:01,113 INFO prove\n");
  EXPECT_EQ(0, feature(body, "prove"));
  EXPECT_EQ(0, feature(body, "design"));
  EXPECT_NEAR(std::log2(1 + 7), feature(body, "code_lines"), 1e-5);
  EXPECT_EQ(1, feature(body, "fault"));
}

TEST(Complexity, WordsAreFoundInManyLanguages) {
  EXPECT_EQ(1U, sign("Beweise es", Sign::prove));
  EXPECT_EQ(1U, sign("DÉMONTRER que", Sign::prove));
  EXPECT_EQ(1U, sign("Demuéstralo, por favor: demuestra", Sign::prove));
  EXPECT_EQ(1U, sign("ДОКАЖИТЕ, что", Sign::prove));
  EXPECT_EQ(1U, sign("请证明这个", Sign::prove));
  EXPECT_EQ(1U, sign("これを証明して", Sign::prove));
  EXPECT_EQ(1U, sign("Übersetze das", Sign::small_task));
  EXPECT_EQ(1U, sign("Перевести текст", Sign::small_task));
  EXPECT_EQ(1U, sign("¿Cuánto cuesta?", Sign::fact));
  EXPECT_EQ(1U, sign("perché", Sign::wh));
}

TEST(Complexity, WordsAreWholeAndPairsStandTogether) {
  EXPECT_EQ(0U, sign("improves approved", Sign::prove));
  EXPECT_EQ(2U, sign("derive derivations", Sign::prove));
  EXPECT_EQ(2U, sign("Yes or no?", Sign::brief));  // "yes or", "or no"
  EXPECT_EQ(0U, sign("What? Is it", Sign::brief));
  EXPECT_EQ(1U, sign("what is love", Sign::fact));
  EXPECT_EQ(0U, sign("what, is", Sign::fact));
}

TEST(Complexity, MarksAreCounted) {
  static const Words words;
  Counts counts;
  words.scan("One, two; three: $x^2$? At 12,000.50 and 3. Ende。 本当に、はい？ نعم؟", counts);
  EXPECT_EQ(3U, counts.questions);
  EXPECT_EQ(4U, counts.commas);
  EXPECT_EQ(3U, counts.maths);
  EXPECT_EQ(3U, counts.numbers);
}

TEST(Complexity, EscapesAreReadAndACutThroughOneDoesNoHarm) {
  const std::string plain = R"({"messages":[{"role":"user","content":"prove\nit é"}]})";
  const std::string escaped = R"({"messages":[{"role":"user","content":"\u0070rove\nit \u00e9"}]})";
  EXPECT_EQ(judge(plain)->score, judge(escaped)->score);
  for (std::size_t pad = 0; pad < 24; ++pad) {
    for (const std::string_view unit : {"\\n", "\\\\", "\\u00e9", "\\ud83d\\ude00", "\\\""}) {
      std::string text(pad, 'a');
      while (text.size() < 6000) text += unit;
      EXPECT_TRUE(judge(R"({"messages":[{"role":"user","content":")" + text + R"("}]})"));
    }
  }
}

TEST(Complexity, WhatNeverGetsHereDoesNoHarm) {
  const std::string good =
      R"({"messages":[{"role":"user","content":[{"type":"text","text":"why \ud83d \u12"}]}]})";
  judge(good);
  for (std::size_t i = 0; i < good.size(); ++i) judge(std::string_view(good).substr(0, i));
  judge(std::string(100'000, '['));
  judge(R"({"messages":[{"role":"user","content":")" + std::string("\xff\xc3\xe4\xb8\xf0") +
        "\"}]}");
}

// What a body of so many bytes may cost at most, whatever is in it: on a machine that is busy, and
// without optimisation.
TEST(Complexity, HostileBodiesAreBoundedInTime) {
  std::string many = R"({"messages":[)";
  for (int i = 0; i < 10'000; ++i) {
    many += std::string(i == 0 ? "" : ",") + R"({"role":"user","content":"prove it? )" +
            std::to_string(i) + R"("})";
  }
  many += "]}";
  std::string opened;
  while (opened.size() < 100'000) opened += "\u201e\u201c \u00ab\"";
  std::string lines;
  while (lines.size() < 100'000) lines += "a|\n";
  std::string slashes(200'000, '\\');
  for (const std::string& body :
       {many, chat(opened), chat(lines), chat(slashes), chat(std::string(1'000'000, ',')),
        chat(std::string(1'000'000, '"')), chat(std::string(1'000'000, '\n'))}) {
    Analyser analyser;
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_TRUE(analyser.judge(Endpoint::chat, body));
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(200));
  }
  EXPECT_NEAR(std::log2(10'000), feature(many, "turns"), 1e-3);
}

TEST(Complexity, AnAnalyserRemembersNothing) {
  Analyser analyser;
  const std::string hard = chat("Derive the theorem, then design the proof for each case.");
  const std::string light = chat("hi");
  const auto first = analyser.judge(Endpoint::chat, hard);
  analyser.judge(Endpoint::chat, light);
  EXPECT_EQ(first, analyser.judge(Endpoint::chat, hard));
}

}  // namespace
}  // namespace penstock::complexity
