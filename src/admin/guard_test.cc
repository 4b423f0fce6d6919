#include "admin/guard.h"

#include <gtest/gtest.h>

namespace penstock::admin {
namespace {

http::RequestHead head(std::vector<http::Field> fields) {
  http::RequestHead made;
  made.fields = std::move(fields);
  return made;
}

TEST(Guard, LetsAnOperatorOnLoopbackIn) {
  for (const char* host : {"127.0.0.1:8081", "localhost:8081", "[::1]:8081", "10.0.0.7"}) {
    EXPECT_FALSE(check(head({{"host", host}}), "")) << host;
  }
}

TEST(Guard, RefusesANameThatADomainCouldBeReboundTo) {
  EXPECT_EQ(check(head({{"host", "evil.example:8081"}}), "")->status, 403);
  EXPECT_EQ(check(head({{"host", "127.0.0.1.evil.example"}}), "")->status, 403);
  EXPECT_EQ(check(head({{"host", ""}}), "")->status, 403);
}

TEST(Guard, RefusesThePageOfAnotherOriginEvenWithTheToken) {
  EXPECT_EQ(
      check(head({{"host", "127.0.0.1:8081"}, {"origin", "http://evil.example"}}), "")->status,
      403);
  EXPECT_EQ(check(head({{"host", "127.0.0.1:8081"}, {"origin", "null"}}), "")->status, 403);
  EXPECT_EQ(check(head({{"host", "127.0.0.1:8081"}, {"sec-fetch-site", "cross-site"}}), "")->status,
            403);
  EXPECT_FALSE(check(head({{"host", "127.0.0.1:8081"}, {"origin", "http://127.0.0.1:8081"}}), ""));
}

TEST(Guard, AsksForTheTokenWhereOneIsSet) {
  EXPECT_EQ(check(head({{"host", "127.0.0.1"}}), "secret")->status, 401);
  EXPECT_EQ(check(head({{"host", "x"}, {"authorization", "Bearer secre"}}), "secret")->status, 401);
  EXPECT_EQ(check(head({{"host", "x"}, {"authorization", "Basic secret"}}), "secret")->status, 401);
  EXPECT_FALSE(
      check(head({{"host", "gateway.example"}, {"authorization", "Bearer secret"}}), "secret"));
}

TEST(Refusals, AreToldOfOnceASecondWithTheirNumber) {
  Refusals refusals;
  const Time start{1h};
  EXPECT_EQ(refusals.due(start), 0u);
  EXPECT_EQ(refusals.add(start), 1u);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(refusals.add(start + 100ms * i), 0u);
  EXPECT_EQ(refusals.due(start + 999ms), 0u);
  EXPECT_EQ(refusals.add(start + 1s), 8u);
  EXPECT_EQ(refusals.add(start + 1500ms), 0u);
  EXPECT_EQ(refusals.due(start + 6s), 1u) << "the last one is told of too";
  EXPECT_EQ(refusals.due(start + 9s), 0u);
  EXPECT_EQ(refusals.add(start + 20s), 1u);
}

TEST(Passwords, AreNotTold) {
  using namespace std::string_literals;
  EXPECT_EQ(without_passwords("serve --engine http://me:secret@host:9/v1"),
            "serve --engine http://***@host:9/v1");
  EXPECT_EQ(without_passwords("a\0redis://:p@ss@h\0b@c"s), "a\0redis://***@h\0b@c"s);
  EXPECT_EQ(without_passwords("http://host/@x //u@h"), "http://host/@x //***@h");
  EXPECT_EQ(without_passwords("penstock serve"), "penstock serve");
  EXPECT_EQ(without_passwords("//"), "//");
  EXPECT_EQ(without_passwords("//@"), "//***@");
}

}  // namespace
}  // namespace penstock::admin
