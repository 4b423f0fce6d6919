#include "app/shown.h"

#include <gtest/gtest.h>

namespace penstock::app {
namespace {

TEST(Visible, ControlBytesAreShownAndNewlineAndTabStay) {
  EXPECT_EQ(visible("a\x1b[31mb\a\r\n\tc\x7f"), "a\\x1b[31mb\\x07\\x0d\n\tc\\x7f");
  EXPECT_EQ(visible("\x1b]0;title\x07"), "\\x1b]0;title\\x07");
  EXPECT_EQ(visible(std::string_view("\0", 1)), "\\x00");
}

TEST(Visible, C1ControlsAreShownByTheirNumber) {
  EXPECT_EQ(visible("\xc2\x9b"
                    "31m"),
            "\\x9b31m");
  EXPECT_EQ(visible("\xc2\x80\xc2\x9f\xc2\xa0"), "\\x80\\x9f\xc2\xa0");
}

TEST(Visible, Utf8StaysWhole) {
  const std::string text = "\u00e4 \u20ac \U0001F600 \u65e5\u672c";
  EXPECT_EQ(visible(text), text);
}

TEST(Visible, BytesThatAreNoUtf8AreShown) {
  EXPECT_EQ(visible("\x9b"), "\\x9b");
  EXPECT_EQ(visible("\xc3("), "\\xc3(");
  EXPECT_EQ(visible("\xe2\x82"), "\\xe2\\x82");
  EXPECT_EQ(visible("\xe2\x82\x1b"), "\\xe2\\x82\\x1b");
  EXPECT_EQ(visible("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(visible("\xe0\x82\x9b"), "\\xe0\\x82\\x9b");  // U+009B in a form that is too long
}

TEST(Visible, TheResultIsTheSameWhereverTheTextIsCut) {
  const std::string text = "\u00e4\x1b[0m\u20ac\xc2\x9b\U0001F600\xe2\x82(\xc3";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Visible pieces;
    std::string out = pieces.feed(std::string_view(text).substr(0, cut));
    out += pieces.feed(std::string_view(text).substr(cut));
    out += pieces.end();
    EXPECT_EQ(out, visible(text)) << cut;
  }
}

TEST(ErrorMessage, IsFoundWhereServersPutIt) {
  EXPECT_EQ(error_message(R"({"error":{"message":"no such model","code":null}})"), "no such model");
  EXPECT_EQ(error_message(R"({"error":"boom"})"), "boom");
  EXPECT_EQ(error_message(R"({"object":"error","message":"too long"})"), "too long");
  EXPECT_EQ(error_message(R"({"detail":"Not Found"})"), "Not Found");
}

TEST(ErrorMessage, IsEmptyWhereThereIsNone) {
  for (const char* json : {"", "<html>", "[]", "{}", R"({"error":null})", R"({"error":{}})"}) {
    EXPECT_EQ(error_message(json), "") << json;
  }
}

TEST(ErrorMessage, CannotSteerATerminal) {
  EXPECT_EQ(error_message(R"({"error":{"message":"\u001b[2Jgone"}})"), "\\x1b[2Jgone");
}

}  // namespace
}  // namespace penstock::app
