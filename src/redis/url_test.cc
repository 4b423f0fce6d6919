#include "redis/url.h"

#include <gtest/gtest.h>

namespace penstock::redis {
namespace {

std::string why(std::string_view text) {
  const Result<Url> url = parse_url(text);
  EXPECT_FALSE(url.ok()) << text;
  return url.ok() ? std::string() : url.error().detail;
}

TEST(RedisUrl, HasDefaults) {
  const Result<Url> url = parse_url("redis://cache.example");
  ASSERT_TRUE(url.ok());
  EXPECT_FALSE(url->tls);
  EXPECT_EQ(url->host, "cache.example");
  EXPECT_EQ(url->port, 6379);
  EXPECT_EQ(url->username + url->password, "");
  EXPECT_EQ(url->database, 0u);
  EXPECT_TRUE(parse_url("redis://cache.example/").ok());
}

TEST(RedisUrl, NamesUserPasswordAndDatabase) {
  const Result<Url> url = parse_url("REDISS://me:p%40ss%2Fw:rd@[::1]:7000/3");
  ASSERT_TRUE(url.ok());
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 7000);
  EXPECT_EQ(url->username, "me");
  EXPECT_EQ(url->password, "p@ss/w:rd");
  EXPECT_EQ(url->database, 3u);
  EXPECT_EQ(url->place(), "[::1]:7000");
  const Result<Url> nameless = parse_url("redis://:secret@h");
  ASSERT_TRUE(nameless.ok());
  EXPECT_EQ(nameless->username, "");
  EXPECT_EQ(nameless->password, "secret");
}

TEST(RedisUrl, RefusesWhatIsNone) {
  for (const std::string_view text :
       {"", "http://h", "redis:/h", "redis://", "redis://h:0", "redis://h:65536", "redis://h:x",
        "redis://h/x", "redis://h/-1", "redis://h/1/2", "redis://h?db=1", "redis://h#1",
        "redis://[::1", "redis://[h]", "redis://a b", "redis://u%zz@h", "redis://ho%73t",
        "redis://h/99999999999"}) {
    EXPECT_NE(why(text), "") << text;
  }
}

TEST(RedisUrl, NeverShowsAPassword) {
  for (const std::string_view text :
       {"redis://me:canary@ho st", "redis://me:canary@h:x", "redis://me:canary@h/x",
        "redis://me:canary%@h", "rdis://me:canary@h"}) {
    EXPECT_EQ(why(text).find("canary"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace penstock::redis
