// What is no YAML, or more of it than settings need.
#include "settings/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "settings/testing.h"

namespace penstock::settings {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(Document, AKeyThatStandsTwiceIsAnError) {
  EXPECT_THAT(problems_of("cache: {}\nlisten: {workers: 1,\n  workers: 2}\ncache: {}\n"),
              ElementsAre("f:3:3: listen.workers: stands twice; first in line 2",
                          "f:4:1: cache: stands twice; first in line 1"));
}

TEST(Document, ColumnsCountCharacters) {
  EXPECT_THAT(problems_of("{ä: 1, x: 2}"), ElementsAre(StartsWith("f:1:2: ä: no such key"),
                                                       StartsWith("f:1:8: x: no such key")));
  EXPECT_THAT(problems_of("\xef\xbb\xbfx: 1"), ElementsAre(StartsWith("f:1:1: x: no such key")));
}

TEST(Document, WhatIsNoYamlSaysWhereAndWhy) {
  EXPECT_THAT(problems_of("listen:\n\taddress: 127.0.0.1:1\n"),
              ElementsAre("f:2:1: indented by a tab; YAML takes spaces"));
  EXPECT_THAT(problems_of("listen: {address: a\ncache: 1\n"),
              ElementsAre(HasSubstr("a { or [ that is not closed")));
  EXPECT_THAT(problems_of("listen: {address: ${A}}\n"),
              ElementsAre(HasSubstr("a text in it that needs quotes, such as \"${NAME}\"")));
  EXPECT_THAT(problems_of("a: b: c\n"), ElementsAre(StartsWith("f:1:5: a `:` where no value")));
  EXPECT_THAT(problems_of("a: %b\n"), ElementsAre(StartsWith("f:1:4: a character that no text")));
  EXPECT_THAT(problems_of("a: *b\n"),
              ElementsAre("f:1:4: no YAML: the referenced anchor is not defined"));
  EXPECT_THAT(problems_of("listen: {}\n---\ncache: {}\n"),
              ElementsAre("f:2:1: a second YAML document; there is one"));
  EXPECT_THAT(problems_of("? [a]\n: 1\n"), ElementsAre("f:1:3: has a key that is no text"));
  EXPECT_THAT(
      problems_of("listen: !x {}\n"),
      ElementsAre("f:1:9: listen: has a YAML tag: tags are not used here; a text that begins "
                  "with ! needs quotes"));
  EXPECT_THAT(problems_of("<<: {}\n"), ElementsAre(StartsWith("f:1:1: merge keys")));
}

TEST(Document, WhatIsNoTextSaysWhere) {
  EXPECT_THAT(problems_of("a: 1\nä: \xff\n"), ElementsAre("f:2:4: the byte 0xff is no UTF-8 text"));
  EXPECT_THAT(problems_of(std::string_view("a: \0", 4)),
              ElementsAre("f:1:4: the byte 0x00 is no UTF-8 text"));
}

// The library's own loop over documents never ends on the first of these.
TEST(Document, RegressionTextsThatAreNoYamlEnd) {
  for (const char* yaml : {",?, ", ",", "?,:", "]", "}", "a: ,", "- ,?,", "*", "&", ": : :"}) {
    EXPECT_THAT(problems_of(yaml), testing::Not(IsEmpty())) << yaml;
  }
}

TEST(Document, AKeyCannotForgeALine) {
  EXPECT_THAT(problems_of("\"a\\nf:9:9: b\\e[0m\": 1\n"),
              ElementsAre("f:1:1: a\\nf:9:9: b\\u001b[0m: no such key"));
}

TEST(Document, AnAliasStandsForAWholeValue) {
  const auto settings = parse(R"(
engines:
  - {name: a, kind: openai, url: http://a, timeout: &slow {total: 1h}}
  - {name: b, kind: openai, url: http://b, timeout: *slow}
models: [{name: a, engines: [a]}]
)",
                              "f", variables());
  ASSERT_TRUE(settings);
  EXPECT_EQ((*settings)->engines[1].timeout.total, 1h);
}

TEST(Document, AnchorsCannotUnfoldASmallFileIntoALargeOne) {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 8; ++j) laughs += ", " + before;
    laughs += "]\n";
  }
  EXPECT_THAT(problems_of(laughs), ElementsAre(HasSubstr("there are too many values")));

  const std::string long_text(100'000, 'x');
  std::string texts = "a: &a " + long_text + "\nb: [*a";
  for (int i = 0; i < 1000; ++i) texts += ", *a";
  EXPECT_THAT(problems_of(texts + "]\n"), ElementsAre(HasSubstr("there are too many values")));

  EXPECT_THAT(problems_of("a: &x {b: *x}\n"),
              ElementsAre("f:1:11: a.b: an alias stands within itself"));
}

TEST(Document, DepthAndSizeAreBounded) {
  EXPECT_THAT(problems_of("a: " + std::string(100'000, '[')),
              ElementsAre(HasSubstr("is nested over 32 deep")));
  EXPECT_THAT(problems_of("a: " + std::string(40, '[') + std::string(40, ']')),
              ElementsAre(HasSubstr("is nested over 32 deep")));
  EXPECT_THAT(problems_of(std::string((1u << 20) + 1, '#')),
              ElementsAre("f:1:1: the file is larger than 1MiB"));
}

}  // namespace
}  // namespace penstock::settings
