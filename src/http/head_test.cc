#include "http/head.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::http {
namespace {

Parsed parse(std::string text, RequestHead& head, std::string& keep, HeadLimits limits = {}) {
  keep = std::move(text);
  return parse_request(keep.data(), keep.size(), limits, head);
}

int status_of(std::string text) {
  RequestHead head;
  std::string keep;
  const Parsed parsed = parse(std::move(text), head, keep);
  if (parsed.progress == Progress::bad) return parsed.bad.status;
  if (parsed.progress == Progress::more) return 0;
  const Framing framing = judge_request(head);
  return framing.bad ? framing.bad->status : 200;
}

std::string post(const std::string& fields) {
  return "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

TEST(RequestHead, IsReadWithItsFieldsLoweredAndTrimmed) {
  RequestHead head;
  std::string keep;
  const std::string text =
      "POST /v1/x?a=b HTTP/1.1\r\nHost: h\r\nContent-Type:  application/json \r\n\r\n";
  const Parsed parsed = parse(text + "body", head, keep);
  ASSERT_EQ(parsed.progress, Progress::done);
  EXPECT_EQ(parsed.length, text.size());
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path, "/v1/x");
  EXPECT_EQ(head.query, "a=b");
  EXPECT_EQ(head.find("content-type"), "application/json");
  EXPECT_EQ(head.minor, 1);
}

TEST(RequestHead, CutAnywhereAsksForMore) {
  const std::string text = post("Content-Length: 5\r\nX-Tab: a\tb\r\n");
  for (std::size_t n = 0; n < text.size(); ++n) {
    EXPECT_EQ(status_of(text.substr(0, n)), 0) << n;
  }
  EXPECT_EQ(status_of(text), 200);
}

// The framing table (RFC 9112 section 6.3): one meaning, or refused.
TEST(Framing, HasOneMeaningOrIsRefused) {
  EXPECT_EQ(status_of(post("Content-Length: 5\r\n")), 200);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\n")), 200);
  EXPECT_EQ(status_of(post("Transfer-Encoding: CHUNKED\r\n")), 200);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")), 400);
  EXPECT_EQ(status_of(post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")), 400);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked, identity\r\n")), 400);
  EXPECT_EQ(status_of(post("Transfer-Encoding: gzip\r\n")), 400);
  EXPECT_EQ(status_of(post("Transfer-Encoding: \r\n")), 400);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")), 400);
  EXPECT_EQ(status_of(post("Transfer-Encoding: xchunked\r\n")), 501);
  EXPECT_EQ(status_of(post("Transfer-Encoding: gzip, chunked\r\n")), 501);
  EXPECT_EQ(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  for (const char* length : {"5, 5", "+5", "-5", "5 5", "0x5", "5a", "", "12345678901234567890"}) {
    EXPECT_EQ(status_of(post("Content-Length: " + std::string(length) + "\r\n")), 400) << length;
  }
  EXPECT_EQ(status_of(post("Content-Length: 5\r\nContent-Length: 5\r\n")), 400);
}

TEST(RequestHead, WithBytesThatTwoProgramsReadDifferentlyIsRefused) {
  EXPECT_EQ(status_of(post("X : a\r\n")), 400);
  EXPECT_EQ(status_of(post(" X: a\r\n")), 400);
  EXPECT_EQ(status_of(post("X: a\r\n b\r\n")), 400);
  EXPECT_EQ(status_of(post("X: a\nY: b\r\n")), 400);
  EXPECT_EQ(status_of(post("X: a\rY: b\r\n")), 400);
  EXPECT_EQ(status_of(post(std::string("X: a\0b\r\n", 8))), 400);
  EXPECT_EQ(status_of(post("X: a\x01\r\n")), 400);
  EXPECT_EQ(status_of(post("X: abcdefgh\x7fijklmnop\r\n")), 400);
  EXPECT_EQ(status_of(post(": a\r\n")), 400);
  EXPECT_EQ(status_of(post("X\xc3\xa9: a\r\n")), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\n\n"), 400);
  EXPECT_EQ(status_of("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

TEST(RequestHead, NeedsExactlyOneHost) {
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.0\r\n\r\n"), 200);
  EXPECT_EQ(status_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(status_of("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), 505);
}

TEST(RequestHead, WhoseTargetNamesAnotherHostIsRefused) {
  EXPECT_EQ(status_of("GET http://A:80/ HTTP/1.1\r\nHost: a:80\r\n\r\n"), 200);
  EXPECT_EQ(status_of("GET http://a/ HTTP/1.0\r\n\r\n"), 200);
  EXPECT_EQ(status_of("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET http://a:x/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET http://u:p@a/ HTTP/1.1\r\nHost: u:p@a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET http://u:p@a/ HTTP/1.0\r\n\r\n"), 400);
}

TEST(RequestHead, WithAPathThatHasTwoReadingsIsRefused) {
  const auto path = [](const std::string& p) {
    return status_of("GET " + p + " HTTP/1.1\r\nHost: a\r\n\r\n");
  };
  EXPECT_EQ(path("/v1/models"), 200);
  EXPECT_EQ(path("/v1/models/org%20a"), 200);
  EXPECT_EQ(path("/v1/"), 200);
  EXPECT_EQ(path("/v1/models/meta/llama"), 200);
  EXPECT_EQ(path("/v1/models/meta%2FLlama"), 200);
  EXPECT_EQ(path("/v1/models/a%2fb%2Fc"), 200);
  EXPECT_EQ(path("http://a/v1/models"), 200);
  for (const char* bad : {"/v1/../admin",
                          "/v1/./x",
                          "//x",
                          "/v1//x",
                          "/v1/%2e%2e/x",
                          "/v1/%2Fx",
                          "/v1/models%2Fx",
                          "/v1/files/a%2Fb",
                          "/v1/models/%2Fx",
                          "/v1/models/a%2F%2Fb",
                          "/v1/models/a%2F/b",
                          "/v1/models/..%2Fx",
                          "/v1/models/a%2F..",
                          "/v1/models/a%2F.%2Fb",
                          "/v1/models/a%5Cb",
                          "/a%00",
                          "/a%0d",
                          "/a%",
                          "/a%4",
                          "/a%zz",
                          "/a\\b",
                          "x",
                          "ftp://h/x",
                          "*"}) {
    EXPECT_EQ(path(bad), 400) << bad;
  }
}

TEST(RequestHead, OverItsBoundsIs431) {
  EXPECT_EQ(status_of(post("X: " + std::string(9000, 'a') + "\r\n")), 431);
  EXPECT_EQ(status_of("GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 431);
  std::string many;
  for (int i = 0; i < 101; ++i) many += "x" + std::to_string(i) + ": a\r\n";
  EXPECT_EQ(status_of(post(many)), 431);
  std::string large;
  for (int i = 0; i < 20; ++i)
    large += "x" + std::to_string(i) + ": " + std::string(2000, 'a') + "\r\n";
  EXPECT_EQ(status_of(post(large)), 431);
  // Also while it is still coming.
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nX: " + std::string(9000, 'a')), 431);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n" + large), 431);
}

TEST(ResponseHead, OfAnEngineIsReadByTheSameRules) {
  const auto judge = [](std::string text, int* status = nullptr) {
    ResponseHead head;
    const Parsed parsed = parse_response(text.data(), text.size(), {}, head);
    if (parsed.progress == Progress::bad) return 502;
    if (parsed.progress == Progress::more) return 0;
    if (status != nullptr) *status = head.status;
    const Framing framing = judge_response(head, false);
    return framing.bad ? framing.bad->status : 200;
  };
  int status = 0;
  EXPECT_EQ(judge("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n", &status), 200);
  EXPECT_EQ(status, 503);
  EXPECT_EQ(judge("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n"), 200);
  EXPECT_EQ(judge("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"),
            502);
  EXPECT_EQ(judge("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), 502);
  EXPECT_EQ(judge("HTTP/1.1 99 OK\r\n\r\n"), 502);
  EXPECT_EQ(judge("HTTP/2 200 OK\r\n\r\n"), 502);
  EXPECT_EQ(judge("SSH-2.0-x\r\n"), 502);
  EXPECT_EQ(judge("HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n"), 502);
  EXPECT_EQ(judge("HTTP/1.1 20"), 0);
}

}  // namespace
}  // namespace penstock::http
