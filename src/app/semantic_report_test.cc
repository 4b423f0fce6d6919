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

std::string report(std::span<const SemanticPair> pairs, const EmbedTexts& embed, bool good = true) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* const out = open_memstream(&text, &size);
  EXPECT_EQ(report_semantic(pairs, embed, out).ok(), good);
  std::fclose(out);
  std::string said(text, size);
  std::free(text);
  return said;
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

TEST(SemanticReport, WhatEmbedSaysAgainstItIsPassedOn) {
  const std::vector<SemanticPair> pairs = {{"a", "b", true}};
  report(
      pairs, [](auto) { return Error{}; }, false);
  report(
      pairs, [](auto) { return std::vector<std::vector<float>>{{1}}; }, false);
  report(
      pairs,
      [](auto) {
        return std::vector<std::vector<float>>{{1}, {0}};
      },
      false);
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
