#include "engine/simulated_embeddings.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/buffer.h"

namespace penstock::engine {
namespace {

float cosine(std::string_view a, std::string_view b) {
  const std::vector<float> one = simulated_embedding(a, kSimulatedDimensions, 1);
  const std::vector<float> other = simulated_embedding(b, kSimulatedDimensions, 1);
  float sum = 0;
  for (std::size_t i = 0; i < one.size(); ++i) sum += one[i] * other[i];
  return sum;
}

TEST(SimulatedEmbeddings, AreUnitVectorsOfWhateverIsAsked) {
  for (const std::string_view text : {"", "?!", "a", "What is a penstock?", "[1,2,3]", "Größe"}) {
    for (const std::size_t dimensions : {std::size_t{1}, std::size_t{8}, kSimulatedDimensions}) {
      double square = 0;
      for (const float value : simulated_embedding(text, dimensions, 7)) square += value * value;
      EXPECT_NEAR(square, 1, 1e-5) << text << " in " << dimensions;
    }
  }
}

TEST(SimulatedEmbeddings, LikeTextsAreNearAndOthersAreNot) {
  EXPECT_NEAR(cosine("How do I reset my password?", "how do i reset my password"), 1, 1e-5);
  EXPECT_GT(cosine("How do I reset my password?", "How can I reset my password?"), 0.8);
  EXPECT_GT(cosine("resetting passwords", "reset a password"), 0.4);
  EXPECT_LT(cosine("How do I reset my password?", "What is the capital of France?"), 0.3);
}

TEST(SimulatedEmbeddings, AnotherSeedIsAnotherModel) {
  EXPECT_NE(simulated_embedding("one", 64, 1), simulated_embedding("one", 64, 2));
  EXPECT_EQ(simulated_embedding("one", 64, 1), simulated_embedding("one", 64, 1));
}

TEST(SimulatedEmbeddings, AnswerEachInputInItsPlace) {
  std::string body = R"({"model":"m","input":["one","two \u00e9"],"dimensions":8})";
  const std::size_t size = body.size();
  body.append(Buffer::kPadding, ' ');
  Question question;
  question.endpoint = Endpoint::embeddings;
  question.model = "m";
  question.body = std::string_view(body).substr(0, size);
  const auto answer = simulated_embeddings(question, 1);
  ASSERT_TRUE(answer);
  EXPECT_NE(answer->find(R"("index":1)"), std::string::npos) << *answer;
  EXPECT_EQ(answer->find(R"("index":2)"), std::string::npos) << *answer;
  EXPECT_NE(answer->find(R"("total_tokens":3)"), std::string::npos) << *answer;
  question.body = std::string_view(body).substr(0, size - 1);
  EXPECT_FALSE(simulated_embeddings(question, 1));
}

}  // namespace
}  // namespace penstock::engine
