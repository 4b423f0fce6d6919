#include "cache/memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "base/uuid.h"

namespace penstock::cache {
namespace {

const Time kNow{1000s};

Key key(std::uint64_t number) {
  Random random(number);
  Key made;
  for (std::size_t i = 0; i < made.size(); i += 8) {
    const std::uint64_t word = random.next();
    std::memcpy(made.data() + i, &word, 8);
  }
  return made;
}

EntryPtr entry(std::uint64_t number, std::size_t bytes = 100, Time expires = kNow + 1h) {
  auto made = std::make_shared<Entry>();
  made->key = key(number);
  made->expires = made->early = made->kept = expires;
  made->plain = Prepared("head", std::string(bytes, 'a'));
  return made;
}

MemoryOptions options(std::uint64_t size, settings::CachePolicy policy) {
  MemoryOptions made;
  made.size = size;
  made.policy = policy;
  made.max_entry = size / 8;
  made.seed = 42;
  return made;
}

class MemoryCacheTest : public testing::TestWithParam<settings::CachePolicy> {
 protected:
  MemoryCache cache_{options(1 << 20, GetParam())};
};

TEST_P(MemoryCacheTest, GivesBackWhatItWasGiven) {
  ASSERT_TRUE(cache_.store(entry(1)));
  ASSERT_NE(cache_.find(key(1), "", kNow), nullptr);
  EXPECT_EQ(cache_.find(key(1), "", kNow)->plain.body().size(), 100u);
  EXPECT_EQ(cache_.find(key(2), "", kNow), nullptr);
  cache_.erase(key(1));
  EXPECT_EQ(cache_.find(key(1), "", kNow), nullptr);
}

TEST_P(MemoryCacheTest, NeverGivesOneScopeTheAnswerOfAnother) {
  auto other = std::make_shared<Entry>(*entry(1));
  other->scope = "team-a";
  ASSERT_TRUE(cache_.store(other));
  EXPECT_EQ(cache_.find(key(1), "team-b", kNow), nullptr);
  EXPECT_EQ(cache_.find(key(1), "", kNow), nullptr);
  EXPECT_NE(cache_.find(key(1), "team-a", kNow), nullptr);
}

TEST_P(MemoryCacheTest, ForgetsWhatHasExpiredByBothDoors) {
  const EntryPtr stored = entry(1, 100, kNow + 10s);
  cache_.store(stored);
  cache_.remember_bytes("", 0, "body", stored, Form::plain, {7, 0, 0});
  EXPECT_NE(cache_.find(key(1), "", kNow + 9s), nullptr);
  EXPECT_TRUE(cache_.find_bytes("", 0, "body", kNow + 9s));
  EXPECT_EQ(cache_.find(key(1), "", kNow + 10s), nullptr);
  EXPECT_FALSE(cache_.find_bytes("", 0, "body", kNow + 10s));
}

TEST_P(MemoryCacheTest, FindsTheVeryBytesAndNoOthers) {
  const EntryPtr stored = entry(1);
  cache_.store(stored);
  cache_.remember_bytes("team", 3, "the body", stored, Form::stream, {7, 0, 0});
  const auto hit = cache_.find_bytes("team", 3, "the body", kNow);
  ASSERT_TRUE(hit);
  EXPECT_EQ(hit->entry, stored);
  EXPECT_EQ(hit->form, Form::stream);
  EXPECT_EQ(hit->tag, (BytesTag{7, 0, 0}));
  EXPECT_FALSE(cache_.find_bytes("team", 3, "the bodY", kNow));
  EXPECT_FALSE(cache_.find_bytes("team", 4, "the body", kNow));
  EXPECT_FALSE(cache_.find_bytes("maet", 3, "the body", kNow));
}

TEST_P(MemoryCacheTest, AnAliasIsGoneWithItsEntry) {
  const EntryPtr stored = entry(1);
  cache_.store(stored);
  cache_.remember_bytes("", 0, "body", stored, Form::plain, {0, 0, 0});
  cache_.erase(key(1));
  EXPECT_FALSE(cache_.find_bytes("", 0, "body", kNow));
  // And one of an entry that was replaced is not made at all.
  cache_.store(entry(1));
  cache_.remember_bytes("", 0, "body", stored, Form::plain, {0, 0, 0});
  EXPECT_FALSE(cache_.find_bytes("", 0, "body", kNow));
}

TEST_P(MemoryCacheTest, AnAliasToldAgainHasTheNewTagAndKeepsTwoBodiesOfAnEntry) {
  const EntryPtr stored = entry(1);
  cache_.store(stored);
  cache_.remember_bytes("", 0, "one", stored, Form::plain, {1, 0, 0});
  cache_.remember_bytes("", 0, "one", stored, Form::plain, {2, 0, 0});
  EXPECT_EQ(cache_.find_bytes("", 0, "one", kNow)->tag.epoch, 2u);
  cache_.remember_bytes("", 0, "two", stored, Form::plain, {2, 0, 0});
  cache_.remember_bytes("", 0, "three", stored, Form::plain, {2, 0, 0});
  EXPECT_FALSE(cache_.find_bytes("", 0, "one", kNow));
  EXPECT_TRUE(cache_.find_bytes("", 0, "two", kNow));
  EXPECT_TRUE(cache_.find_bytes("", 0, "three", kNow));
}

TEST_P(MemoryCacheTest, TheSameBytesMayComeToMeanAnotherEntry) {
  const EntryPtr before = entry(1);
  const EntryPtr after = entry(2);
  cache_.store(before);
  cache_.store(after);
  cache_.remember_bytes("", 0, "body", before, Form::plain, {1, 0, 0});
  cache_.remember_bytes("", 0, "body", after, Form::plain, {2, 0, 0});
  EXPECT_EQ(cache_.find_bytes("", 0, "body", kNow)->entry, after);
}

TEST_P(MemoryCacheTest, RefusesWhatIsLargerThanItMayBe) {
  EXPECT_FALSE(cache_.store(entry(1, 1 << 19)));
  EXPECT_EQ(cache_.stats().entries, 0u);
}

TEST_P(MemoryCacheTest, StaysWithinItsSizeUnderInsertsOfMixedSizes) {
  MemoryCache cache(options(4 << 20, GetParam()));
  Random random(1);
  for (std::uint64_t i = 0; i < 200000; ++i) {
    const EntryPtr stored = entry(i, static_cast<std::size_t>(random.next() % 3000));
    cache.store(stored);
    if (i % 3 == 0) {
      cache.remember_bytes("", 0, std::to_string(i) + std::string(random.next() % 500, 'b'), stored,
                           Form::plain, {0, 0, 0});
    }
    if (i % 1000 == 0) {
      ASSERT_LE(cache.stats().bytes, (4u << 20) + (4u << 20) / 20) << i;
    }
  }
  EXPECT_GT(cache.stats().bytes, 3u << 20);
  EXPECT_GT(cache.stats().evictions, 190000u);
  cache.clear();
  EXPECT_EQ(cache.stats().entries, 0u);
}

TEST_P(MemoryCacheTest, KeepsWhatIsReadAgain) {
  MemoryCache cache(options(1 << 20, GetParam()));
  cache.store(entry(0, 1000));
  cache.find(key(0), "", kNow);
  cache.find(key(0), "", kNow);
  for (std::uint64_t i = 1; i < 5000; ++i) {
    cache.store(entry(i, 1000));
    if (i % 50 == 0) {
      ASSERT_NE(cache.find(key(0), "", kNow), nullptr) << i;
    }
  }
}

TEST_P(MemoryCacheTest, ServesSeveralThreadsAtOnce) {
  MemoryCache cache(options(1 << 20, GetParam()));
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&cache, t] {
      Random random(t);
      for (int i = 0; i < 20000; ++i) {
        const std::uint64_t number = random.next() % 2000;
        const std::string body = std::to_string(number);
        const auto hit = cache.find_bytes("", 0, body, kNow);
        if (hit) {
          EXPECT_EQ(hit->entry->key, key(number));
          continue;
        }
        EntryPtr stored = cache.find(key(number), "", kNow);
        if (!stored) cache.store(stored = entry(number, 500));
        cache.remember_bytes("", 0, body, stored, Form::plain, {0, 0, 0});
        if (i % 100 == 0) cache.erase(key(number));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(Policies, MemoryCacheTest,
                         testing::Values(settings::CachePolicy::s3fifo, settings::CachePolicy::lru),
                         [](const auto& policy) {
                           return policy.param == settings::CachePolicy::lru ? "Lru" : "S3Fifo";
                         });

// A scan through a cache that holds a working set: FIFO queues let it pass, LRU is flushed.
TEST(S3Fifo, LetsAScanPassWithoutLosingTheWorkingSet) {
  const auto survivors = [](settings::CachePolicy policy) {
    MemoryCache cache(options(1 << 20, policy));
    for (int round = 0; round < 3; ++round) {
      for (std::uint64_t i = 0; i < 300; ++i) {
        if (!cache.find(key(i), "", kNow)) cache.store(entry(i, 1000));
      }
    }
    for (std::uint64_t i = 10000; i < 13000; ++i) cache.store(entry(i, 1000));
    int alive = 0;
    for (std::uint64_t i = 0; i < 300; ++i) alive += cache.find(key(i), "", kNow) ? 1 : 0;
    return alive;
  };
  EXPECT_GT(survivors(settings::CachePolicy::s3fifo), 250);
  EXPECT_EQ(survivors(settings::CachePolicy::lru), 0);
}

TEST(KeyMaker, TellsPartsApartByTheirLengths) {
  KeyMaker keys;
  const Key one = keys.make("a", Endpoint::chat, "bc", "d");
  EXPECT_EQ(one, keys.make("a", Endpoint::chat, "bc", "d"));
  EXPECT_NE(one, keys.make("ab", Endpoint::chat, "c", "d"));
  EXPECT_NE(one, keys.make("a", Endpoint::chat, "b", "cd"));
  EXPECT_NE(one, keys.make("a", Endpoint::completions, "bc", "d"));
  EXPECT_NE(one, keys.make("", Endpoint::chat, "abc", "d"));
}

TEST(MemoryCacheForms, AnotherFormDoesNotBringBackWhatIsGone) {
  MemoryCache cache({});
  const EntryPtr old = entry(1);
  ASSERT_TRUE(cache.store(old));
  old->vouched.set(7);
  const EntryPtr form = std::make_shared<Entry>(*old);
  old->vouched.set(9);  // while the form was made
  cache.replace(old, form);
  const EntryPtr there = cache.find(old->key, old->scope, kNow);
  EXPECT_EQ(there, form);
  EXPECT_EQ(there->vouched.by(), 9u);
  // An invalidation came in between: nobody would ever tell of it again.
  EXPECT_TRUE(cache.erase_vouched(old->key, 9));
  cache.replace(form, std::make_shared<Entry>(*form));
  EXPECT_EQ(cache.find(old->key, old->scope, kNow), nullptr);
  EXPECT_FALSE(cache.erase_vouched(old->key, 9));
}

}  // namespace
}  // namespace penstock::cache
