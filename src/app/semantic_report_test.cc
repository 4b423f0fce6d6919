#include "app/semantic_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "engine/simulated_embeddings.h"

namespace penstock::app {
namespace {

using testing::HasSubstr;

Result<std::vector<std::vector<float>>> simulated(std::span<const std::string> texts) {
  EXPECT_LE(texts.size(), 64U);
  std::vector<std::vector<float>> vectors;
  for (const std::string& text : texts) {
    vectors.push_back(engine::simulated_embedding(text, engine::kSimulatedDimensions, 1));
  }
  return vectors;
}

std::string report(std::span<const SemanticPair> pairs, const EmbedTexts& embed,
                   bool as_json = false) {
  const Result<std::string> said = report_semantic(pairs, embed, as_json);
  EXPECT_TRUE(said) << said.error().detail;
  return said ? *said : std::string();
}

TEST(SemanticReport, CountsTrueAndFalseHitsAtEachThreshold) {
  const std::vector<SemanticPair> pairs = {
      {"equal words", "equal words", true},
      {"what is this", "tell me more about dinosaurs", true},
      {"how do I start it", "how do I start it", false},
      {"alpha", "omega and everything else", false},
  };
  const std::string said = report(pairs, simulated);
  EXPECT_THAT(said, HasSubstr("4 pairs, of which 2 mean the same"));
  EXPECT_THAT(said, HasSubstr("0.80               1          1      50.0%    50.0%"));
  EXPECT_THAT(said, HasSubstr("0.99               1          1      50.0%    50.0%"));
  EXPECT_THAT(said, HasSubstr("1.000  how do I start it\n"));
}

TEST(SemanticReport, WithoutAHitThereIsNoPrecision) {
  const std::vector<SemanticPair> pairs(100, {"alpha", "an entirely different thing", true});
  EXPECT_THAT(report(pairs, simulated), HasSubstr("0.80               0          0          -"));
}

TEST(SemanticReport, SaysTheSameAsJson) {
  const std::vector<SemanticPair> pairs = {{"equal", "equal", true}, {"same \"", "same \"", false}};
  const std::string said = report(pairs, simulated, true);
  EXPECT_THAT(said, HasSubstr(R"({"pairs":2,"same":1,"thresholds":[{"threshold":0.8,)"
                              R"("true_hits":1,"false_hits":1},{"threshold":0.81,)"));
  EXPECT_THAT(said, HasSubstr(R"("most_alike":[{"similarity":1,"a":"same \"","b":"same \""}]})"));
}

TEST(SemanticReport, WhatEmbedSaysAgainstItIsPassedOn) {
  const std::vector<SemanticPair> pairs = {{"a", "b", true}};
  const auto refused = [&](std::vector<std::vector<float>> vectors) {
    return !report_semantic(
        pairs, [&](auto) { return vectors; }, false);
  };
  EXPECT_FALSE(report_semantic(
      pairs, [](auto) { return Error{}; }, false));
  EXPECT_TRUE(refused({{1}}));
  EXPECT_TRUE(refused({{1}, {0}}));
  EXPECT_FALSE(refused({{1}, {1}}));
}

TEST(SemanticReport, ThePairsThatComeWithTheProgramCanBeRead) {
  const auto pairs = read_semantic_pairs(shipped_semantic_pairs());
  ASSERT_TRUE(pairs) << pairs.error().detail;
  EXPECT_GE(pairs->size(), 300U);
}

TEST(SemanticReport, PairsAreReadLineByLine) {
  const auto pairs = read_semantic_pairs(
      "{\"a\": \"one\", \"b\": \"t\\\"wo\", \"same\": "
      "true}\n\n{\"same\":false,\"b\":\"x\",\"a\":\"y\"}");
  ASSERT_TRUE(pairs);
  ASSERT_EQ(pairs->size(), 2U);
  EXPECT_EQ((*pairs)[0].b, "t\"wo");
  EXPECT_TRUE((*pairs)[0].same);
  EXPECT_FALSE((*pairs)[1].same);
  for (const std::string_view bad : {"{}", "x", "{\"a\":\"b\",\"b\":\"c\",\"same\":1}",
                                     "{\"a\":\"b\",\"b\":\"c\",\"same\":true} x"}) {
    const auto refused = read_semantic_pairs("\n" + std::string(bad));
    ASSERT_FALSE(refused) << bad;
    EXPECT_THAT(refused.error().detail, HasSubstr("line 2"));
  }
}

}  // namespace
}  // namespace penstock::app
