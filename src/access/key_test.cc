#include "access/key.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

namespace penstock::access {
namespace {

std::string hex(const Digest& digest) {
  std::string out;
  for (const unsigned char byte : digest) out += fmt::format("{:02x}", byte);
  return out;
}

TEST(Key, AMadeOneIsWellFormedAndNoTwoAreEqual) {
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const Result<std::string> key = make_key();
    ASSERT_TRUE(key.ok());
    EXPECT_EQ(key->size(), kKeyBytes);
    EXPECT_TRUE(well_formed(*key)) << *key;
    EXPECT_EQ(prefix_of(*key), key->substr(0, 11));
    EXPECT_TRUE(seen.insert(*key).second);
  }
}

TEST(Key, AnyOneDigitThatDiffersIsSeen) {
  const std::string key = *make_key();
  for (std::size_t i = 0; i < key.size(); ++i) {
    for (const char c : {'0', 'Z', 'a', '_', '\0', '\xff'}) {
      if (key[i] == c) continue;
      std::string other = key;
      other[i] = c;
      EXPECT_FALSE(well_formed(other)) << i;
    }
  }
}

TEST(Key, TwoDigitsChangedAboutAreSeen) {
  const std::string key = *make_key();
  for (std::size_t i = kKeyMark.size(); i + 1 < key.size(); ++i) {
    std::string other = key;
    std::swap(other[i], other[i + 1]);
    EXPECT_EQ(well_formed(other), other == key) << i;
  }
}

TEST(Key, NothingElseIsWellFormed) {
  const std::string key = *make_key();
  for (const std::string& text :
       {std::string(), std::string("pk_"), std::string("sk-abc"), key + "0",
        key.substr(0, key.size() - 1), " " + key, key + "\n", std::string(kKeyBytes, '0'),
        std::string(1 << 20, 'a'), std::string("pk_' OR '1'='1")}) {
    EXPECT_FALSE(well_formed(text));
  }
}

// Given once: a key must be known to every later version of the program.
TEST(Key, TheChecksumAndTheDigestStayWhatTheyWere) {
  const std::string key = "pk_" + std::string(42, '0') + "10TbwHR";
  EXPECT_TRUE(well_formed(key));
  EXPECT_EQ(hex(Hasher("a secret").digest(key)),
            "894782c514850334c0bf7b4f2275835758c25d640ce808364eff432e51d089d7");
}

TEST(Key, IdsAreShortAndPlain) {
  const std::string id = *make_key_id();
  EXPECT_EQ(id.size(), 20u);
  EXPECT_TRUE(id.starts_with("key_"));
  EXPECT_EQ(id.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"),
            id.npos);
}

TEST(Hasher, AnotherSecretGivesAnotherDigest) {
  const std::string key = *make_key();
  const Hasher one("one");
  const Hasher other("other");
  EXPECT_TRUE(equal(one.digest(key), one.digest(key)));
  EXPECT_TRUE(equal(one.digest(key), Hasher("one").digest(key)));
  EXPECT_FALSE(equal(one.digest(key), other.digest(key)));
  EXPECT_FALSE(equal(one.digest(key), one.digest(key + "x")));
}

TEST(Hasher, ThreadsDoNotDisturbEachOther) {
  const Hasher hasher("secret");
  std::vector<std::string> keys;
  std::vector<Digest> digests;
  for (int i = 0; i < 8; ++i) {
    keys.push_back(*make_key());
    digests.push_back(hasher.digest(keys.back()));
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < keys.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5000; ++i) {
        if (!equal(hasher.digest(keys[t]), digests[t])) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace penstock::access
