#include "load/scanner.h"

#include <gtest/gtest.h>

namespace penstock::load {
namespace {

const std::string kPlain =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nX-Penstock-Cache: hit; level=memory\r\n"
    "Content-Length: 11\r\n\r\n{\"a\": true}";
const std::string kStream =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    "transfer-encoding: chunked\r\n\r\n"
    "4\r\n: hi\r\n2\r\n\n\n\r\n"
    "37;x=y\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"\"}}]}\n\ndata: {\"c\r\n"
    "15\r\nontent\": \"Hello\"}\r\n\r\n\r\n"
    "e\r\ndata: [DONE]\n\n\r\n"
    "0\r\nx-trailer: 1\r\n\r\n";

TEST(Scanner, APlainAnswerIsTheSameWhereverItIsCut) {
  for (std::size_t cut = 0; cut <= kPlain.size(); ++cut) {
    Scanner scanner;
    EXPECT_EQ(scanner.feed(std::string_view(kPlain).substr(0, cut)), cut);
    EXPECT_EQ(scanner.done(), cut == kPlain.size());
    EXPECT_EQ(scanner.begun(), cut > 0);
    scanner.feed(std::string_view(kPlain).substr(cut));
    ASSERT_TRUE(scanner.done()) << cut;
    EXPECT_EQ(scanner.status(), 200);
    EXPECT_EQ(scanner.cache(), "hit");
    EXPECT_EQ(scanner.body_bytes(), 11u);
    EXPECT_TRUE(scanner.keep_alive());
    EXPECT_FALSE(scanner.event_stream());
  }
}

TEST(Scanner, AStreamIsTheSameWhereverItIsCut) {
  for (std::size_t cut = 0; cut <= kStream.size(); ++cut) {
    Scanner scanner;
    scanner.feed(std::string_view(kStream).substr(0, cut));
    ASSERT_FALSE(scanner.broken()) << cut;
    scanner.feed(std::string_view(kStream).substr(cut));
    ASSERT_TRUE(scanner.done()) << cut;
    EXPECT_EQ(scanner.events(), 2u);
    EXPECT_TRUE(scanner.first_token());
    EXPECT_TRUE(scanner.said_done());
    EXPECT_FALSE(scanner.said_error());
  }
}

TEST(Scanner, AStreamIsTheSameByteByByte) {
  Scanner scanner;
  std::size_t first_token_at = 0;
  for (std::size_t i = 0; i < kStream.size(); ++i) {
    ASSERT_EQ(scanner.feed(std::string_view(kStream).substr(i, 1)), 1u) << i;
    if (first_token_at == 0 && scanner.first_token()) first_token_at = i;
  }
  EXPECT_TRUE(scanner.done());
  EXPECT_EQ(scanner.events(), 2u);
  // Not at the empty content of the first event: at the end of the line that says Hello.
  EXPECT_GT(first_token_at, kStream.find("Hello"));
}

TEST(Scanner, ItStopsAtTheEndOfAnAnswer) {
  const std::string two = kPlain + kStream;
  Scanner scanner;
  EXPECT_EQ(scanner.feed(two), kPlain.size());
  EXPECT_TRUE(scanner.done());
  scanner.reset();
  EXPECT_EQ(scanner.feed(std::string_view(two).substr(kPlain.size())), kStream.size());
  EXPECT_TRUE(scanner.done());
  EXPECT_EQ(scanner.cache(), "");
}

TEST(Scanner, AnErrorEventIsSeenAndANullErrorIsNone) {
  const auto says_error = [](std::string_view data) {
    Scanner scanner;
    scanner.feed("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ");
    scanner.feed(data);
    scanner.feed("\n\n");
    return scanner.said_error();
  };
  EXPECT_TRUE(says_error(R"({"error":{"message":"gone"}})"));
  EXPECT_TRUE(says_error(R"({"error": "gone"})"));
  EXPECT_FALSE(says_error(R"({"error": null, "choices":[]})"));
  EXPECT_FALSE(says_error(R"({"choices":[{"delta":{"content":"{\"error\":1}"}}]})"));
}

TEST(Scanner, ToolCallsAndReasoningAreTokensToo) {
  for (const char* data :
       {R"({"choices":[{"delta":{"reasoning_content":"So"}}]})", R"({"choices":[{"text":"So"}]})",
        R"({"choices":[{"delta":{"tool_calls":[{"arguments":"{"}]}}]})"}) {
    Scanner scanner;
    scanner.feed("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ");
    scanner.feed(data);
    scanner.feed("\n\n");
    EXPECT_TRUE(scanner.first_token()) << data;
  }
  Scanner scanner;
  scanner.feed("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
  scanner.feed("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n");
  EXPECT_FALSE(scanner.first_token());
}

TEST(Scanner, AnAnswerWithoutLengthEndsWithItsConnection) {
  Scanner scanner;
  scanner.feed("HTTP/1.0 200 OK\r\n\r\nsome");
  EXPECT_FALSE(scanner.done());
  EXPECT_TRUE(scanner.end());
  EXPECT_TRUE(scanner.done());
  EXPECT_FALSE(scanner.keep_alive());
}

TEST(Scanner, AnAnswerThatBreaksOffIsNotDone) {
  for (const std::string& answer : {kPlain, kStream}) {
    for (std::size_t cut = 0; cut < answer.size(); ++cut) {
      Scanner scanner;
      scanner.feed(std::string_view(answer).substr(0, cut));
      EXPECT_FALSE(scanner.end()) << cut;
    }
  }
}

TEST(Scanner, OfARefusalTheBeginningOfItsBodyIsKept) {
  Scanner scanner;
  scanner.feed("HTTP/1.1 404 Not Found\r\ncontent-length: 10000\r\n\r\nno ");
  scanner.feed("such model");
  EXPECT_EQ(scanner.refusal(), "no such model");
  scanner.feed(std::string(10'000 - 13, ' '));
  EXPECT_TRUE(scanner.done());
  EXPECT_EQ(scanner.refusal().size(), 4096u);
  scanner.reset();
  scanner.feed(kPlain);
  EXPECT_EQ(scanner.refusal(), "");
}

TEST(Scanner, PreliminaryAnswersArePassedOver) {
  Scanner scanner;
  scanner.feed("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n");
  EXPECT_FALSE(scanner.done());
  scanner.feed("HTTP/1.1 204 No Content\r\nconnection: Close\r\n\r\n");
  EXPECT_TRUE(scanner.done());
  EXPECT_EQ(scanner.status(), 204);
  EXPECT_FALSE(scanner.keep_alive());
}

TEST(Scanner, WhatIsNotStrictHttpIsBroken) {
  const std::string head = "HTTP/1.1 200 OK\r\n";
  const std::string chunked = head + "transfer-encoding: chunked\r\n\r\n";
  for (const std::string& bad : {
           std::string("HTTP/2 200 OK\r\n"),
           std::string("HTTP/1.1 20 OK\r\n"),
           std::string("HTTP/1.1 2000 OK\r\n"),
           std::string("HTTP/1.1 099 OK\r\n"),
           std::string("HTTP/1.1 600 OK\r\n"),
           std::string("SSH-2.0-OpenSSH\r\n"),
           std::string("HTTP/1.1 101 Switching\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\n"),
           head + "no colon\r\n",
           head + "a b: c\r\n",
           head + ": c\r\n",
           head + "content-length: 1\r\ncontent-length: 1\r\n",
           head + "content-length: -1\r\n",
           head + "content-length: 1, 1\r\n",
           head + "content-length: 99999999999999999999\r\n",
           head + "content-length:\r\n",
           head + "transfer-encoding: gzip, chunked\r\n",
           head + "content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
           chunked + "g\r\n",
           chunked + "\r\n",
           chunked + "-1\r\n",
           chunked + "1\nx",
           chunked + "1\r\nxx\r\n",
           chunked + "1234567890123456\r\n",
           head + "a: " + std::string(70'000, 'x'),
       }) {
    Scanner scanner;
    scanner.feed(bad);
    EXPECT_TRUE(scanner.broken()) << bad.substr(0, 100);
  }
}

TEST(Scanner, AnEventLineWithoutEndDoesNotGrowForEver) {
  Scanner scanner;
  scanner.feed("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ");
  const std::string piece(100'000, 'x');
  for (int i = 0; i < 100; ++i) scanner.feed(piece);
  scanner.feed("\n\n");
  EXPECT_EQ(scanner.events(), 1u);
  EXPECT_EQ(scanner.body_bytes(), 100u * 100'000 + 8);
}

}  // namespace
}  // namespace penstock::load
