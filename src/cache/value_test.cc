#include "cache/value.h"

#include <gtest/gtest.h>

namespace penstock::cache {
namespace {

constexpr std::size_t kMost = 1024 * 1024;

Value some(std::string body) {
  Value value;
  value.scope = "t:acme";
  value.model = "m";
  value.engine = "gpu-a";
  value.tags = {"prices", "de"};
  value.status = 200;
  value.form = Form::stream_with_usage;
  value.stored_ms = 1'790'000'000'000;
  value.expires_ms = 1'790'003'600'000;
  value.made_us = 812'000;
  value.first_token_us = 90'000;
  value.usage = {12, 34, 5, 6};
  value.purge = 77;
  value.body = std::move(body);
  return value;
}

void expect_same(const Value& a, const Value& b) {
  EXPECT_EQ(a.scope, b.scope);
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.engine, b.engine);
  EXPECT_EQ(a.tags, b.tags);
  EXPECT_EQ(a.status, b.status);
  EXPECT_EQ(a.form, b.form);
  EXPECT_EQ(a.stored_ms, b.stored_ms);
  EXPECT_EQ(a.expires_ms, b.expires_ms);
  EXPECT_EQ(a.made_us, b.made_us);
  EXPECT_EQ(a.first_token_us, b.first_token_us);
  EXPECT_EQ(a.usage.input, b.usage.input);
  EXPECT_EQ(a.usage.output, b.usage.output);
  EXPECT_EQ(a.usage.cached_input, b.usage.cached_input);
  EXPECT_EQ(a.usage.reasoning, b.usage.reasoning);
  EXPECT_EQ(a.purge, b.purge);
  EXPECT_EQ(a.body, b.body);
}

TEST(Value, IsTheSameAfterTheJourney) {
  for (const std::size_t size : {0u, 10u, 1024u, 100'000u}) {
    const Value value = some(std::string(size, 'x'));
    for (const std::uint64_t over : {std::uint64_t{0}, std::uint64_t{1024}, std::uint64_t{kMost}}) {
      const std::optional<Value> back = decode(encode(value, over), kMost);
      ASSERT_TRUE(back) << size << " " << over;
      expect_same(value, *back);
    }
  }
}

TEST(Value, IsCompressedAboveASizeOnly) {
  const Value value = some(std::string(10'000, 'x'));
  EXPECT_GT(encode(value, kMost).size(), 10'000u);
  EXPECT_LT(encode(value, 1024).size(), 1'000u);
}

TEST(Value, WithOneDamagedByteIsNone) {
  for (const std::uint64_t over : {std::uint64_t{0}, std::uint64_t{kMost}}) {
    const std::string good = encode(some("a body of some length"), over);
    for (std::size_t i = 0; i < good.size(); ++i) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ 0x20);
      EXPECT_FALSE(decode(bad, kMost)) << i;
    }
    for (std::size_t i = 0; i < good.size(); ++i) {
      EXPECT_FALSE(decode(std::string_view(good).substr(0, i), kMost)) << i;
    }
    EXPECT_FALSE(decode(good + "x", kMost));
  }
}

TEST(Value, OfAnotherVersionIsNone) {
  std::string other = encode(some("body"), 0);
  other[2] = 2;
  EXPECT_FALSE(decode(other, kMost));
}

TEST(Value, LargerThanIsKeptIsNone) {
  EXPECT_FALSE(decode(encode(some(std::string(200'000, 'x')), 1024), 100'000));
}

TEST(Value, DiffersInItsHeadFromEveryOther) {
  Value value = some("body");
  const std::string one = encode(value, 1024).substr(0, kValueHead);
  value.stored_ms += 1;
  EXPECT_NE(one, encode(value, 1024).substr(0, kValueHead));
}

}  // namespace
}  // namespace penstock::cache
