#include "redis/slots.h"

#include <gtest/gtest.h>

#include "redis/parser.h"

namespace penstock::redis {
namespace {

Value value_of(std::string_view text) {
  Parser parser;
  const Parser::Step step = parser.next(text);
  EXPECT_EQ(step.state, Parser::State::value);
  return step.state == Parser::State::value ? parser.take() : Value();
}

Value error_of(std::string_view text) {
  Value value;
  value.type = Type::error;
  value.text = text;
  return value;
}

// As CLUSTER KEYSLOT of a Redis 7.0 says.
TEST(RedisSlots, AKeyHasTheSlotThatRedisGivesIt) {
  EXPECT_EQ(slot_of("123456789"), 12739);  // 0x31c3, the check value of the CRC
  EXPECT_EQ(slot_of("foo"), 12182);
  EXPECT_EQ(slot_of(""), 0);
  EXPECT_EQ(slot_of("{user1000}.following"), slot_of("user1000"));
  EXPECT_EQ(slot_of("foo{bar}{zap}"), slot_of("bar"));
  EXPECT_EQ(slot_of("foo{{bar}}zap"), slot_of("{bar"));
  EXPECT_NE(slot_of("foo{}{bar}"), slot_of("bar"));  // the whole key: the first tag is empty
  EXPECT_NE(slot_of("foo{bar"), slot_of("bar"));
}

TEST(RedisSlots, ACommandFindsItsNodeByItsKey) {
  const auto key = [](std::vector<std::string_view> words) {
    return std::string(key_of(words).value_or("any"));
  };
  EXPECT_EQ(key({"GET", "k"}), "k");
  EXPECT_EQ(key({"PING"}), "any");
  EXPECT_EQ(key({"PUBLISH", "channel", "text"}), "any");
  EXPECT_EQ(key({"EVALSHA", "sha", "1", "k", "v"}), "k");
  EXPECT_EQ(key({"EVAL", "return 1", "0", "v"}), "any");
  EXPECT_EQ(key({"EVAL", "return 1", "0"}), "any");
}

TEST(RedisSlots, ReadsWhoHasThem) {
  const Result<SlotMap> map = read_slots(
      value_of("*3\r\n"
               "*4\r\n:0\r\n:5460\r\n"
               "*4\r\n$9\r\n127.0.0.1\r\n:7000\r\n$2\r\nid\r\n*0\r\n"
               "*4\r\n$9\r\n127.0.0.1\r\n:7003\r\n$2\r\nid\r\n*0\r\n"
               "*3\r\n:5461\r\n:5461\r\n*3\r\n_\r\n:7001\r\n$2\r\nid\r\n"
               "*3\r\n:5462\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:7000\r\n$2\r\nid\r\n"),
      "redis.example");
  ASSERT_TRUE(map.ok());
  ASSERT_EQ(map->masters.size(), 2u);
  EXPECT_EQ(map->masters[0].text(), "127.0.0.1:7000");
  EXPECT_EQ(map->masters[1].text(), "redis.example:7001");
  ASSERT_EQ(map->replicas.size(), 1u);
  EXPECT_EQ(map->replicas[0].text(), "127.0.0.1:7003");
  ASSERT_EQ(map->ranges.size(), 3u);
  EXPECT_EQ(map->ranges[1].first, 5461);
  EXPECT_EQ(map->ranges[1].master, 1);
  EXPECT_EQ(map->ranges[2].last, 16383);
  EXPECT_EQ(map->ranges[2].master, 0);
}

TEST(RedisSlots, RefusesAMapThatIsNone) {
  for (const std::string_view text :
       {"*0\r\n", "+OK\r\n", "*1\r\n*2\r\n:0\r\n:1\r\n", "*1\r\n*3\r\n:0\r\n:16384\r\n*0\r\n",
        "*1\r\n*3\r\n:5\r\n:4\r\n*2\r\n$1\r\na\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\n?\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\na\r\n:65536\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\na\r\n:0\r\n"}) {
    EXPECT_FALSE(read_slots(value_of(text), "a").ok()) << text;
  }
}

TEST(RedisSlots, ReadsWhereAnErrorSendsTo) {
  std::optional<Redirect> redirect = redirect_of(error_of("MOVED 3999 127.0.0.1:6381"));
  ASSERT_TRUE(redirect);
  EXPECT_EQ(redirect->kind, Redirect::Kind::moved);
  EXPECT_EQ(redirect->slot, 3999);
  EXPECT_EQ(redirect->place.text(), "127.0.0.1:6381");
  redirect = redirect_of(error_of("ASK 16383 ::1:6381"));
  ASSERT_TRUE(redirect);
  EXPECT_EQ(redirect->kind, Redirect::Kind::ask);
  EXPECT_EQ(redirect->place.text(), "[::1]:6381");
  redirect = redirect_of(error_of("MOVED 1 :7001"));
  ASSERT_TRUE(redirect);
  EXPECT_EQ(redirect->place.host, "");
  redirect = redirect_of(error_of("TRYAGAIN Multiple keys request during rehashing of slot"));
  ASSERT_TRUE(redirect);
  EXPECT_EQ(redirect->kind, Redirect::Kind::try_again);
  for (const std::string_view text :
       {"MOVED 16384 a:1", "MOVED x a:1", "MOVED 1 a", "MOVED 1 a:0", "MOVED 1 a:65536", "MOVED 1",
        "ASKED 1 a:1", "ERR MOVED 1 a:1"}) {
    EXPECT_FALSE(redirect_of(error_of(text))) << text;
  }
  Value value = error_of("MOVED 3999 127.0.0.1:6381");
  value.type = Type::text;  // somebody's value
  EXPECT_FALSE(redirect_of(value));
}

}  // namespace
}  // namespace penstock::redis
