#include "redis/parser.h"

#include <gtest/gtest.h>

#include <cmath>

#include "redis/command.h"

namespace penstock::redis {
namespace {

using State = Parser::State;

Value parse(std::string_view text, Parser::Bounds bounds = {}) {
  Parser parser(bounds);
  const Parser::Step step = parser.next(text);
  EXPECT_EQ(step.state, State::value) << text << ": " << parser.why();
  EXPECT_EQ(step.consumed, text.size()) << text;
  return step.state == State::value ? parser.take() : Value();
}

std::string why(std::string_view text, Parser::Bounds bounds = {}) {
  Parser parser(bounds);
  const Parser::Step step = parser.next(text);
  EXPECT_EQ(step.state, State::bad) << text;
  return step.state == State::bad ? std::string(parser.why()) : std::string();
}

TEST(RedisParser, ReadsTheSimpleTypes) {
  EXPECT_EQ(parse("+OK\r\n").text, "OK");
  EXPECT_TRUE(parse("-ERR no\r\n").is_error());
  EXPECT_EQ(parse("-ERR no\r\n").text, "ERR no");
  EXPECT_EQ(parse(":-42\r\n").integer, -42);
  EXPECT_EQ(parse(":+7\r\n").integer, 7);
  EXPECT_TRUE(parse("_\r\n").is_null());
  EXPECT_TRUE(parse("#t\r\n").truth);
  EXPECT_FALSE(parse("#f\r\n").truth);
  EXPECT_EQ(parse(",1.5e3\r\n").real, 1500);
  EXPECT_EQ(parse(",-inf\r\n").real, -INFINITY);
  EXPECT_TRUE(std::isnan(parse(",nan\r\n").real));
  EXPECT_EQ(parse("(123456789012345678901234567890\r\n").text, "123456789012345678901234567890");
}

TEST(RedisParser, ReadsTexts) {
  EXPECT_EQ(parse("$5\r\nhe\r\nl\r\n").text, "he\r\nl");
  EXPECT_EQ(parse("$0\r\n\r\n").text, "");
  EXPECT_TRUE(parse("$0\r\n\r\n").is_text());
  EXPECT_TRUE(parse("$-1\r\n").is_null());
  EXPECT_TRUE(parse("*-1\r\n").is_null());
  EXPECT_EQ(parse("=8\r\ntxt:some\r\n").text, "some");
  EXPECT_EQ(parse("!10\r\nSYNTAX bad\r\n").text, "SYNTAX bad");
  EXPECT_TRUE(parse("!10\r\nSYNTAX bad\r\n").is_error());
}

TEST(RedisParser, ReadsAggregatesInEachOther) {
  const Value list = parse("*3\r\n:1\r\n*2\r\n+a\r\n_\r\n~1\r\n$1\r\nb\r\n");
  ASSERT_EQ(list.items.size(), 3u);
  EXPECT_EQ(list.items[1].items[0].text, "a");
  EXPECT_EQ(list.items[2].type, Type::set);
  const Value map = parse("%2\r\n+a\r\n:1\r\n+b\r\n*0\r\n");
  EXPECT_EQ(map.type, Type::map);
  ASSERT_EQ(map.items.size(), 4u);
  EXPECT_EQ(map.items[3].type, Type::array);
  const Value push = parse(">3\r\n+message\r\n+c\r\n$2\r\nhi\r\n");
  EXPECT_EQ(push.type, Type::push);
  EXPECT_EQ(push.items[2].text, "hi");
}

TEST(RedisParser, ReadsOverAttributes) {
  EXPECT_EQ(parse("|1\r\n+ttl\r\n:3600\r\n:5\r\n").integer, 5);
  const Value list = parse("*2\r\n|1\r\n+k\r\n*1\r\n_\r\n:1\r\n:2\r\n");
  ASSERT_EQ(list.items.size(), 2u);
  EXPECT_EQ(list.items[0].integer, 1);
  EXPECT_EQ(list.items[1].integer, 2);
  EXPECT_EQ(parse("|0\r\n+x\r\n").text, "x");
}

TEST(RedisParser, TakesOneValueAfterTheOther) {
  std::string_view in = ":1\r\n:2\r\n$3\r\nab";
  Parser parser;
  for (const std::int64_t expected : {1, 2}) {
    const Parser::Step step = parser.next(in);
    ASSERT_EQ(step.state, State::value);
    EXPECT_EQ(parser.take().integer, expected);
    EXPECT_TRUE(parser.idle());
    in.remove_prefix(step.consumed);
  }
  EXPECT_EQ(parser.next(in).state, State::more);
  EXPECT_FALSE(parser.idle());
  EXPECT_EQ(parser.next("c\r").state, State::more);
  EXPECT_EQ(parser.next("\n").state, State::value);
  EXPECT_EQ(parser.take().text, "abc");
}

TEST(RedisParser, RefusesWhatIsNone) {
  for (const std::string_view text : {"\r\n",
                                      "x\r\n",
                                      ":\r\n",
                                      ":1a\r\n",
                                      ":+-1\r\n",
                                      ":9223372036854775808\r\n",
                                      "#x\r\n",
                                      "_x\r\n",
                                      ",\r\n",
                                      ",0x1\r\n",
                                      ",1e999\r\n",
                                      "(1.5\r\n",
                                      "(\r\n",
                                      "$-2\r\n",
                                      "$1x\r\n",
                                      "$1\r\nab\r\n",
                                      "*-2\r\n",
                                      "*\r\n",
                                      "=3\r\nabc\r\n",
                                      "=4\r\nabcd\r\n",
                                      ">0\r\n",
                                      "*1\r\n>1\r\n+a\r\n",
                                      "+a\nb\r\n",
                                      "+a\rb\r\n",
                                      "HTTP/1.1 400 Bad Request\r\n",
                                      "$99999999999999999999\r\n"}) {
    EXPECT_NE(why(text), "") << text;
  }
}

TEST(RedisParser, RefusesStreamedTypes) {
  for (const std::string_view text : {"$?\r\n", "*?\r\n", "%?\r\n", "~?\r\n", ">?\r\n"}) {
    EXPECT_EQ(why(text), "a streamed type") << text;
  }
}

TEST(RedisParser, HoldsItsBounds) {
  const Parser::Bounds bounds{.depth = 3, .elements = 10, .bytes = 20};
  EXPECT_EQ(why("*1\r\n*1\r\n*1\r\n*1\r\n", bounds), "a value is too deep");
  EXPECT_EQ(why("*10\r\n", bounds), "a value has too many elements");
  EXPECT_EQ(why("*4\r\n%3\r\n", bounds), "a value has too many elements");
  EXPECT_EQ(why("*18446744073709551615\r\n", bounds), "a value has too many elements");
  EXPECT_EQ(why("$21\r\n", bounds), "a value has too many bytes");
  EXPECT_EQ(why("*2\r\n$15\r\n123456789012345\r\n$6\r\n", bounds), "a value has too many bytes");
  // They begin anew with each value.
  Parser parser(bounds);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(parser.next("*2\r\n$10\r\n0123456789\r\n+012345678\r\n").state, State::value);
    EXPECT_EQ(parser.take().items.size(), 2u);
  }
  std::string endless = "+";
  endless.append(Parser::kLine + 1, 'a');
  EXPECT_EQ(why(endless), "a line is too long");
  std::string attributes;
  for (int i = 0; i < 11; ++i) attributes += "|0\r\n";
  EXPECT_EQ(why(attributes, bounds), "a value has too many elements");
}

TEST(RedisParser, AllocatesNothingForWhatIsOnlyAnnounced) {
  Parser parser;
  EXPECT_EQ(parser.next("*200000\r\n$60000000\r\n").state, State::more);
  EXPECT_EQ(parser.next("abc").state, State::more);
}

TEST(RedisCommand, IsAnArrayOfBulkTexts) {
  std::string out;
  const std::array<std::string_view, 3> words = {"SET", "a\r\n", ""};
  append_command(out, words);
  EXPECT_EQ(out, "*3\r\n$3\r\nSET\r\n$3\r\na\r\n\r\n$0\r\n\r\n");
}

}  // namespace
}  // namespace penstock::redis
