#include "cache/semantic.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "cache/semantic_testing.h"

namespace penstock::cache {
namespace {

constexpr float kThreshold = 0.9F;
#ifdef __SANITIZE_THREAD__
constexpr std::uint64_t kMany = 300;  // each is put in with a hundred mutexes taken
constexpr double kAtWork = 0;         // who searches does not wait for that
#else
constexpr std::uint64_t kMany = 2000;
constexpr double kAtWork = 0.95;
#endif

// What the index has, looked at one by one.
using Truth = std::map<Key, std::vector<float>>;

float best_of(const Truth& truth, const std::vector<float>& asked) {
  float best = -1;
  for (const auto& [key, vector] : truth) best = std::max(best, cosine(asked, vector));
  return best;
}

// Of the questions that have an answer at the threshold, how many got the nearest one. What is
// found is at the threshold, is there, and is as similar as it says, always.
double recall(SemanticIndex& index, const Truth& truth, SemanticVectors& vectors) {
  int wanted = 0;
  int got = 0;
  std::size_t step = std::max<std::size_t>(1, truth.size() / 80);
  std::size_t i = 0;
  for (const auto& [key, vector] : truth) {
    if (i++ % step != 0) continue;
    for (const float spread : {0.2F, 0.6F}) {
      const std::vector<float> asked = vectors.around(vector, spread);
      const float best = best_of(truth, asked);
      const auto found = index.find("t", "p", asked, kThreshold);
      if (found) {
        EXPECT_GE(found->similarity, kThreshold - 1e-5F);
        const auto known = truth.find(found->key);
        EXPECT_TRUE(known != truth.end()) << "a dead one";
        if (known != truth.end()) {
          EXPECT_NEAR(cosine(asked, known->second), found->similarity, 1e-4);
        }
      }
      if (best < kThreshold) {
        EXPECT_FALSE(found && best < kThreshold - 1e-4F);
        continue;
      }
      ++wanted;
      if (found && found->similarity > best - 1e-4F) ++got;
    }
  }
  EXPECT_GT(wanted, 50);
  testing::Test::RecordProperty("recall", std::to_string(static_cast<double>(got) / wanted));
  return static_cast<double>(got) / wanted;
}

void fill(SemanticIndex& index, Truth& truth, SemanticVectors& vectors, std::uint64_t from,
          std::uint64_t to) {
  for (std::uint64_t i = from; i < to; ++i) {
    const std::vector<float> vector = vectors.next();
    index.add("t", "p", semantic_key(i), vector);
    truth[semantic_key(i)] = vector;
  }
}

TEST(SemanticIndex, FindsTheNearestOfAFewExactly) {
  SemanticIndex index({});
  SemanticVectors vectors(33, 4, 1);
  Truth truth;
  fill(index, truth, vectors, 0, 300);
  EXPECT_EQ(index.stats().rebuilds, 0U);
  EXPECT_EQ(recall(index, truth, vectors), 1);
}

TEST(SemanticIndex, FindsAlmostAllOfManyAlsoAfterDeletionsAndRebuilds) {
  SemanticIndex index({.size = 100'000, .exact = kMany / 10});
  SemanticVectors vectors(48, 40, 2);
  Truth truth;
  fill(index, truth, vectors, 0, kMany);
  EXPECT_GE(recall(index, truth, vectors), kAtWork) << "while the graph is made";
  index.settle();
  EXPECT_GE(recall(index, truth, vectors), 0.95);

  for (std::uint64_t i = 0; i < kMany / 5; ++i) {
    index.erase(semantic_key(i * 5));
    truth.erase(semantic_key(i * 5));
  }
  index.settle();
  EXPECT_GE(recall(index, truth, vectors), 0.95) << "a fifth only marked";

  const std::uint64_t before = index.stats().rebuilds;
  for (std::uint64_t i = 0; i < kMany; i += 2) {
    index.erase(semantic_key(i));
    truth.erase(semantic_key(i));
  }
  index.settle();
  EXPECT_GT(index.stats().rebuilds, before);
  EXPECT_GE(recall(index, truth, vectors), 0.95) << "made anew";

  fill(index, truth, vectors, kMany, kMany * 7 / 4);
  index.settle();
  EXPECT_GE(recall(index, truth, vectors), 0.95) << "and filled again";
  EXPECT_EQ(index.stats().entries, truth.size());
}

TEST(SemanticIndex, AWholeClusterThatIsErasedHidesNobody) {
  SemanticIndex index({.size = 10'000, .exact = 100});
  SemanticVectors vectors(32, 1, 3);
  const std::vector<float> asked = vectors.next();
  for (std::uint64_t i = 0; i < 400; ++i) index.add("t", "p", semantic_key(i), vectors.next());
  for (std::uint64_t i = 400; i < 460; ++i) {
    index.add("t", "p", semantic_key(i), vectors.around(asked, 0.05F));
  }
  index.add("t", "p", semantic_key(999), vectors.around(asked, 0.2F));
  index.settle();
  for (std::uint64_t i = 400; i < 460; ++i) index.erase(semantic_key(i));
  index.settle();
  const auto found = index.find("t", "p", asked, 0.9F);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->key, semantic_key(999));
}

TEST(SemanticIndex, OnePlaceNeverSeesAnothers) {
  SemanticIndex index({});
  SemanticVectors vectors(16, 1, 4);
  const std::vector<float> vector = vectors.next();
  index.add("t:a", "small", semantic_key(1), vector);
  EXPECT_TRUE(index.find("t:a", "small", vector, 1));
  EXPECT_FALSE(index.find("t:b", "small", vector, 0));
  EXPECT_FALSE(index.find("t:a", "large", vector, 0));
  EXPECT_FALSE(index.find("t:as", "mall", vector, 0));
}

TEST(SemanticIndex, TheOneThatWasNotHitForLongestLeavesWhosoeverItIs) {
  SemanticIndex index({.size = 3});
  SemanticVectors vectors(16, 1, 5);
  std::vector<std::vector<float>> all;
  for (int i = 0; i < 5; ++i) all.push_back(vectors.around({}, 1));
  index.add("a", "p", semantic_key(0), all[0]);
  index.add("b", "p", semantic_key(1), all[1]);
  index.add("c", "p", semantic_key(2), all[2]);
  EXPECT_TRUE(index.find("a", "p", all[0], 0.99F));
  index.add("d", "p", semantic_key(3), all[3]);
  EXPECT_FALSE(index.find("b", "p", all[1], 0.99F));
  EXPECT_TRUE(index.find("a", "p", all[0], 0.99F));
  index.add("c", "p", semantic_key(2), all[2]);  // known: used again
  index.add("e", "p", semantic_key(4), all[4]);
  EXPECT_FALSE(index.find("d", "p", all[3], 0.99F));
  EXPECT_TRUE(index.find("c", "p", all[2], 0.99F));
  const SemanticStats stats = index.stats();
  EXPECT_EQ(stats.entries, 3U);
  EXPECT_EQ(stats.places, 3U) << "an empty place is none";
  EXPECT_EQ(stats.evictions, 2U);
  index.set_size(1);
  EXPECT_EQ(index.stats().entries, 1U);
}

TEST(SemanticIndex, AScopeIsErasedWhole) {
  SemanticIndex index({});
  SemanticVectors vectors(16, 1, 6);
  const std::vector<float> vector = vectors.next();
  index.add("a", "p", semantic_key(0), vector);
  index.add("a", "q", semantic_key(1), vector);
  index.add("b", "p", semantic_key(2), vector);
  EXPECT_EQ(index.erase_scopes([](std::string_view scope) { return scope == "a"; }), 2U);
  EXPECT_FALSE(index.find("a", "p", vector, 0));
  EXPECT_TRUE(index.find("b", "p", vector, 0));
  index.add("a", "p", semantic_key(0), vector);
  EXPECT_TRUE(index.find("a", "p", vector, 0));
  index.clear();
  EXPECT_EQ(index.stats().entries, 0U);
  EXPECT_EQ(index.stats().places, 0U);
}

TEST(SemanticIndex, VectorsOfAnotherLengthBeginThePlaceAnew) {
  SemanticIndex index({});
  SemanticVectors shorter(16, 1, 7);
  SemanticVectors longer(24, 1, 7);
  const std::vector<float> vector = shorter.next();
  const std::vector<float> other = longer.next();
  index.add("a", "p", semantic_key(0), vector);
  EXPECT_FALSE(index.find("a", "p", other, 0));
  index.add("a", "p", semantic_key(1), other);
  EXPECT_TRUE(index.find("a", "p", other, 0.9F));
  EXPECT_FALSE(index.find("a", "p", vector, 0));
  EXPECT_EQ(index.stats().entries, 1U);
}

TEST(SemanticIndex, AKeyThatMovesIsInOnePlace) {
  SemanticIndex index({});
  SemanticVectors vectors(16, 1, 8);
  const std::vector<float> vector = vectors.next();
  index.add("a", "p", semantic_key(0), vector);
  index.add("a", "q", semantic_key(0), vector);
  EXPECT_FALSE(index.find("a", "p", vector, 0));
  EXPECT_TRUE(index.find("a", "q", vector, 0));
  EXPECT_EQ(index.stats().places, 1U);
}

TEST(SemanticIndex, WhatHasNoDirectionIsNoVector) {
  std::vector<float> none;
  std::vector<float> zero(8, 0);
  std::vector<float> infinite(8, std::numeric_limits<float>::infinity());
  std::vector<float> good{3, 4};
  EXPECT_FALSE(normalise(none));
  EXPECT_FALSE(normalise(zero));
  EXPECT_FALSE(normalise(infinite));
  EXPECT_TRUE(normalise(good));
  EXPECT_FLOAT_EQ(good[0], 0.6F);
}

TEST(SemanticIndex, ManyThreadsAtOnceLoseNothing) {
  constexpr std::uint64_t kThreads = 4;
  constexpr std::uint64_t kEach = kMany / 5;
  SemanticIndex index({.size = 100'000, .exact = 64});
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&index, t] {
      SemanticVectors vectors(16, 8, 100);  // the same clusters
      SemanticVectors own(16, 8, 200 + t);
      for (std::uint64_t i = 0; i < kEach; ++i) {
        const std::string place = i % 2 == 0 ? "p" : "q";
        const std::vector<float> vector = own.around(vectors.next(), 0.3F);
        index.add("t", place, semantic_key(t * kEach + i), vector);
        (void)index.find("t", place, vector, 0.5F);
        if (i % 4 == 0) index.erase(semantic_key(t * kEach + i));
        if (i % 50 == 0) index.each([](const SemanticIndex::Item&) {});
        if (i == kEach / 2) {
          index.erase_scopes([](std::string_view scope) { return scope == "nobody"; });
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  index.settle();
  EXPECT_EQ(index.stats().entries, kThreads * kEach * 3 / 4);
  std::uint64_t there = 0;
  index.each([&](const SemanticIndex::Item& item) {
    ++there;
    EXPECT_EQ(item.vector.size(), 16U);
  });
  EXPECT_EQ(there, kThreads * kEach * 3 / 4);
}

TEST(SemanticIndex, EndsInTheMiddleOfMakingAGraph) {
  SemanticIndex index({.size = 100'000, .exact = 100});
  SemanticVectors vectors(64, 8, 9);
  for (std::uint64_t i = 0; i < 2000; ++i) index.add("t", "p", semantic_key(i), vectors.next());
}

}  // namespace
}  // namespace penstock::cache
