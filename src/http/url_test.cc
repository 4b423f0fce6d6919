#include "http/url.h"

#include <gtest/gtest.h>

namespace penstock::http {
namespace {

TEST(Url, IsTakenApart) {
  const Result<Url> url = parse_url("https://gpu-a.example:8000/v1/");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->https);
  EXPECT_EQ(url->host, "gpu-a.example");
  EXPECT_EQ(url->port, 8000);
  EXPECT_EQ(url->path, "/v1");
  EXPECT_EQ(url->authority(), "gpu-a.example:8000");
}

TEST(Url, KnowsThePortsOfItsSchemes) {
  EXPECT_EQ(parse_url("http://a")->port, 80);
  EXPECT_EQ(parse_url("HTTPS://a")->port, 443);
  EXPECT_EQ(parse_url("https://a:443")->authority(), "a");
  EXPECT_EQ(parse_url("http://a:443")->authority(), "a:443");
  EXPECT_EQ(parse_url("http://a")->path, "");
}

TEST(Url, TakesIpv6AddressesInBrackets) {
  const Result<Url> url = parse_url("http://[::1]:8000/v1");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 8000);
  EXPECT_EQ(url->authority(), "[::1]:8000");
  EXPECT_EQ(parse_url("http://[fe80::1]")->authority(), "[fe80::1]");
}

TEST(Url, RefusesWhatItDoesNotUnderstand) {
  for (const std::string_view text : {"",
                                      "a",
                                      "http:",
                                      "http:/a",
                                      "http://",
                                      "http:///v1",
                                      "ftp://a",
                                      "http://a b",
                                      "http://a\t",
                                      "http://me:secret@a",
                                      "http://@a",
                                      "http://a?x=y",
                                      "http://a#x",
                                      "http://a:",
                                      "http://a:0",
                                      "http://a:65536",
                                      "http://a:+80",
                                      "http://a:8x",
                                      "http://a:000080",
                                      "http://[::1",
                                      "http://[]",
                                      "http://[zz]",
                                      "http://[::1]80",
                                      "http://::1",
                                      "http://a%41",
                                      "http://a\\b",
                                      "http://a/x y",
                                      "http://a/\"",
                                      "http://a/%4",
                                      "http://a/%zz",
                                      "http://a/\xc3\xa4",
                                      "http://a,b",
                                      "http://a/{x}"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
}

TEST(Url, ShowsNoPasswordInItsErrors) {
  const Result<Url> url = parse_url("http://me:hunter2@a");
  ASSERT_FALSE(url);
  EXPECT_EQ(url.error().detail.find("hunter2"), std::string::npos);
}

TEST(Url, EncodesAndDecodesPercents) {
  EXPECT_EQ(percent_encoded("a b/c&d=\xc3\xa4~"), "a%20b%2Fc%26d%3D%C3%A4~");
  EXPECT_EQ(percent_decoded("a%20b%2fc"), "a b/c");
  EXPECT_EQ(percent_decoded("100%"), "100%");
  EXPECT_EQ(percent_decoded("%4"), "%4");
  EXPECT_EQ(percent_decoded("%zz"), "%zz");
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(percent_decoded(percent_encoded(all)), all);
}

}  // namespace
}  // namespace penstock::http
