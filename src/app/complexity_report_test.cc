#include "app/complexity_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace penstock::app {
namespace {

using testing::HasSubstr;

std::vector<ScoredQuestion> labelled() {
  std::ifstream file(PENSTOCK_QUESTIONS);
  const std::string lines(std::istreambuf_iterator<char>(file), {});
  auto questions = score_lines(lines);
  EXPECT_TRUE(questions) << questions.error().detail;
  return questions ? *std::move(questions) : std::vector<ScoredQuestion>();
}

TEST(ComplexityReport, TheScoresAgreeWithPeopleOnQuestionsThatNobodyTunedOn) {
  const std::vector<ScoredQuestion> questions = labelled();
  ASSERT_EQ(300U, questions.size());
  const std::vector<Agreement> all = agreements(questions);
  ASSERT_EQ(2U, all.size());
  for (const Agreement& one : all) {
    std::uint32_t count = 0;
    for (const auto& row : one.confusion) {
      for (const std::uint32_t cell : row) count += cell;
    }
    EXPECT_EQ(one.split == "unseen" ? 100U : 200U, count);
    EXPECT_GE(one.quadratic, 0.7) << one.split;
    EXPECT_GE(one.linear, 0.65) << one.split;
    EXPECT_LT(one.length_quadratic, one.quadratic - 0.15)
        << one.split;  // it is no matter of length
  }
}

TEST(ComplexityReport, KappaIsOneForAllAndNoneForChance) {
  EXPECT_DOUBLE_EQ(1, weighted_kappa({{{5, 0, 0}, {0, 4, 0}, {0, 0, 3}}}, 2));
  EXPECT_NEAR(0, weighted_kappa({{{4, 4, 4}, {2, 2, 2}, {1, 1, 1}}}, 2), 1e-12);
  EXPECT_DOUBLE_EQ(0, weighted_kappa({}, 1));
  // Of 10 in a square: weights 1 and 2, 3 of them off by one; by hand.
  const Confusion some = {{{3, 1, 0}, {1, 2, 1}, {0, 0, 2}}};
  const double expected = (4 * 3 + 4 * 3 * 2 + 4 * 4 + 4 * 3 + 2 * 4 * 2 + 2 * 3) / 10.0;
  EXPECT_DOUBLE_EQ(1 - 3 / expected, weighted_kappa(some, 1));
}

TEST(ComplexityReport, ReadsRequestsAndLabels) {
  const auto questions = score_lines(
      "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}\n\n"
      "{\"prompt\":\"why?\"}\r\n"
      "{\"label\":\"complex\",\"request\":{\"messages\":[]},\"split\":\"s\"}");
  ASSERT_TRUE(questions);
  ASSERT_EQ(3U, questions->size());
  EXPECT_TRUE(questions->at(0).complexity);
  EXPECT_EQ(3U, questions->at(1).line);
  EXPECT_FALSE(questions->at(2).complexity);
  EXPECT_EQ(complexity::Class::complex, questions->at(2).label);
  EXPECT_TRUE(agreements(*questions).empty());
}

TEST(ComplexityReport, SaysWhichLineIsWrong) {
  for (const std::string_view bad :
       {"x", "{}", "[]", R"({"request":{}})", R"({"request":{"request":{"messages":[]}}}x)",
        R"({"messages":[)", R"({"request":3})"}) {
    const auto questions = score_lines("{\"prompt\":\"a\"}\n" + std::string(bad));
    ASSERT_FALSE(questions) << bad;
    EXPECT_THAT(questions.error().detail, HasSubstr("line 2")) << bad;
  }
  EXPECT_THAT(score_lines(R"({"prompt":"a","label":"hard"})").error().detail,
              HasSubstr("line 1 has a label"));
}

TEST(ComplexityReport, ShowsWhatMadeAScore) {
  const ScoredQuestion question = score_question("Prove that there is no largest prime.");
  const std::string said = show_score(question, false);
  EXPECT_THAT(said, HasSubstr(fmt::format("{:.2f} ", question.complexity->score)));
  EXPECT_THAT(said, HasSubstr("prove "));
  EXPECT_THAT(show_score(question, true), HasSubstr(R"("prove":{"value":1)"));
  EXPECT_THAT(show_score(score_question(""), false), HasSubstr("- -"));
}

TEST(ComplexityReport, ShowsARowForEachOrHowTheyAgree) {
  const auto plain = score_lines("{\"prompt\":\"why?\"}\n{\"prompt\":\"\"}");
  EXPECT_THAT(show_scores(*plain, false), HasSubstr("LINE  SCORE  CLASS"));
  EXPECT_THAT(show_scores(*plain, true), HasSubstr(R"("agreements":[])"));
  const auto known = score_lines(R"({"prompt":"hi","label":"simple","split":"a"})");
  EXPECT_THAT(show_scores(*known, false), HasSubstr("a: 1 questions"));
  EXPECT_THAT(show_scores(*known, true), HasSubstr(R"("confusion":[[1,0,0],[0,0,0],[0,0,0]])"));
}

}  // namespace
}  // namespace penstock::app
