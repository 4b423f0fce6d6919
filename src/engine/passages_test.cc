#include "engine/passages.h"

#include <gtest/gtest.h>

namespace penstock::engine {
namespace {

TEST(Passages, KeepCodeWholeAndSayWhereTheyStand) {
  const auto passages = cut_into_passages(
      "intro\n\n# One\n\ntext one\n\n## Two\n\n```sh\n# comment\n\nmore\n```\n\n# Three\n\nend\n",
      "file");
  ASSERT_EQ(passages.size(), 4u);
  EXPECT_EQ(passages[0].heading, "file");
  EXPECT_EQ(passages[1].heading, "One");
  EXPECT_EQ(passages[2].heading, "One > Two");
  EXPECT_EQ(passages[2].text, "```sh\n# comment\n\nmore\n```");
  EXPECT_EQ(passages[3].heading, "Three");
}

TEST(Passages, OfOneEndlessLineAreCutBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "ä";
  std::string joined;
  for (const Passage& passage : cut_into_passages(text, "f")) {
    EXPECT_LE(passage.text.size(), 1600u);
    EXPECT_EQ(passage.text.size() % 2, 0u);
    joined += passage.text;
  }
  EXPECT_EQ(joined, text);
}

TEST(Passages, LeaveOutCommentsAndWhatHasNoWords) {
  const auto passages = cut_into_passages(
      "# Results\n\n<!-- measured: begin -->\n<!-- measured:\n end -->\n\n## Next\n\nOne <!-- two "
      "-->three.\n\n---\n\n## Code\n\n```\n<!-- kept -->\n```\n\nWrite `<!-- this -->`.\n",
      "file");
  ASSERT_EQ(passages.size(), 2u);
  EXPECT_EQ(passages[0].heading, "Results > Next");
  EXPECT_EQ(passages[0].text, "One three.\n\n---");
  EXPECT_EQ(passages[1].text, "```\n<!-- kept -->\n```\n\nWrite `<!-- this -->`.");
}

TEST(Passages, ACommentThatNeverEndsHidesNothing) {
  const auto passages = cut_into_passages("One <!-- two --> three.\n\nFour <!-- five.\n", "file");
  ASSERT_EQ(passages.size(), 1u);
  EXPECT_EQ(passages[0].text, "One  three.\n\nFour <!-- five.");
}

TEST(Passages, KeepTheIndentAndTheBlankLinesOfADiagram) {
  const auto passages = cut_into_passages(
      "The way:\n\n    in  ->  gate\n\n          |\n        out\n\nThe end.\n", "f");
  ASSERT_EQ(passages.size(), 1u);
  EXPECT_EQ(passages[0].text,
            "The way:\n\n    in  ->  gate\n\n          |\n        out\n\nThe end.");
  const auto alone = cut_into_passages("# A\n\n      top\n    bottom\n", "f");
  ASSERT_EQ(alone.size(), 1u);
  EXPECT_EQ(alone[0].text, "      top\n    bottom");
}

TEST(Passages, KeepCodeWithWhatExplainsItWhereItFits) {
  std::string code;
  for (int i = 0; i < 40; ++i) code += "line number " + std::to_string(i) + "\n";
  const std::string text = "Do this:\n```sh\n" + code + "```";
  const auto one = cut_into_passages(text + "\n", "f");
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].text, text);
  // A fence of other marks, or of fewer, is a part of the code.
  const std::string nested = "````md\n```\n# no heading\n```\n~~~~\n````";
  const auto inner = cut_into_passages(nested, "f");
  ASSERT_EQ(inner.size(), 1u);
  EXPECT_EQ(inner[0].text, nested);
}

TEST(Passages, OfEndlessCodeAreCutBetweenLinesEachInItsFence) {
  std::string text = "```sh\n";
  for (int i = 0; i < 3000; ++i) text += "line number " + std::to_string(i) + "\n";
  text += std::string(20000, 'x');  // and the fence never ends
  const auto passages = cut_into_passages(text, "f");
  ASSERT_GT(passages.size(), 5u);
  for (const Passage& passage : passages) {
    EXPECT_LE(passage.text.size(), 4100u);
    EXPECT_TRUE(passage.text.starts_with("```sh\n"));
    EXPECT_EQ(passage.text.ends_with("\n```"), &passage != &passages.back());
  }
}

TEST(Words, OfAQuestionAreThoseThatTellUnlessThereAreNone) {
  EXPECT_EQ(words_of("How do I begin?"), std::vector<std::string>{"begin"});
  EXPECT_EQ(words_of("What's a Penstock?"), std::vector<std::string>{"penstock"});
  EXPECT_EQ(words_of("What is it?"), (std::vector<std::string>{"what", "is", "it"}));
}

}  // namespace
}  // namespace penstock::engine
