#include "settings/values.h"

#include <gtest/gtest.h>

namespace penstock::settings {
namespace {

template <class T>
std::string fault(const Result<T, Fault>& result) {
  return result ? "no fault" : result.error().reason;
}

TEST(Values, ReadsBooleans) {
  EXPECT_TRUE(*parse_boolean("true"));
  EXPECT_FALSE(*parse_boolean("false"));
  for (const char* text : {"yes", "True", "1", "", "on"}) EXPECT_FALSE(parse_boolean(text)) << text;
}

TEST(Values, ReadsWholeNumbers) {
  EXPECT_EQ(*parse_integer("0"), 0u);
  EXPECT_EQ(*parse_integer("18446744073709551615"), 18446744073709551615u);
  EXPECT_EQ(fault(parse_integer("18446744073709551616")), "it is too large");
  for (const char* text : {"", "-1", "+1", "1.5", "1 ", " 1", "0x10", "1e3"}) {
    EXPECT_FALSE(parse_integer(text)) << text;
  }
}

TEST(Values, ReadsNumbers) {
  EXPECT_EQ(*parse_number("0.4"), 0.4);
  EXPECT_EQ(*parse_number("50"), 50.0);
  EXPECT_EQ(fault(parse_number("-1")), "it is negative");
  for (const char* text : {"", "nan", "inf", "1e999", "1,5", "0x1p3 "}) {
    EXPECT_FALSE(parse_number(text)) << text;
  }
}

TEST(Values, ReadsSizes) {
  EXPECT_EQ(parse_size("0")->count, 0u);
  EXPECT_EQ(parse_size("7B")->count, 7u);
  EXPECT_EQ(parse_size("32KiB")->count, 32768u);
  EXPECT_EQ(parse_size("256MiB")->count, 268435456u);
  EXPECT_EQ(parse_size("2GiB")->count, 2147483648u);
  EXPECT_EQ(fault(parse_size("32")), "the unit is missing");
  EXPECT_EQ(fault(parse_size("1.5GiB")), "fractions are not understood: take a smaller unit");
  EXPECT_EQ(fault(parse_size("32 KiB")), "there is no space before the unit");
  EXPECT_EQ(fault(parse_size("18446744073709551615GiB")), "it is too large");
  EXPECT_EQ(fault(parse_size("99999999999999999999B")), "it is too large");
  for (const char* text : {"", "KiB", "1KB", "1kib", "1k", "-1B", "1KiB "}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(Values, ReadsTimes) {
  EXPECT_EQ(*parse_duration("0"), 0s);
  EXPECT_EQ(*parse_duration("250us"), 250us);
  EXPECT_EQ(*parse_duration("10ms"), 10ms);
  EXPECT_EQ(*parse_duration("10s"), 10s);
  EXPECT_EQ(*parse_duration("5m"), 5min);
  EXPECT_EQ(*parse_duration("2h"), 2h);
  EXPECT_EQ(*parse_duration("30d"), 720h);
  EXPECT_EQ(fault(parse_duration("10")), "the unit is missing");
  EXPECT_EQ(fault(parse_duration("36501d")), "it is too large");
  EXPECT_EQ(fault(parse_duration("9223372036854775807s")), "it is too large");
  for (const char* text : {"", "s", "1m30s", "10S", "10 s", "-1s", "10sec"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Values, ReadsPercentages) {
  EXPECT_EQ(*parse_ratio("0"), 0.0);
  EXPECT_EQ(*parse_ratio("20%"), 0.2);
  EXPECT_EQ(*parse_ratio("0.5%"), 0.005);
  EXPECT_EQ(*parse_ratio("100%"), 1.0);
  EXPECT_EQ(fault(parse_ratio("0.2")), "the % is missing");
  EXPECT_EQ(fault(parse_ratio("101%")), "it is over 100%");
  EXPECT_EQ(fault(parse_ratio("-1%")), "it is negative");
  for (const char* text : {"", "%", "20 %", "20%%"}) EXPECT_FALSE(parse_ratio(text)) << text;
}

TEST(Values, ReadsRates) {
  EXPECT_EQ(*parse_rate("0"), (Rate{0, 1s}));
  EXPECT_EQ(*parse_rate("10/s"), (Rate{10, 1s}));
  EXPECT_EQ(*parse_rate("600/m"), (Rate{600, 1min}));
  EXPECT_EQ(*parse_rate("5/h"), (Rate{5, 1h}));
  EXPECT_EQ(*parse_rate("4294967295/d"), (Rate{4294967295u, 24h}));
  EXPECT_EQ(fault(parse_rate("4294967296/d")), "it is too large");
  EXPECT_EQ(fault(parse_rate("600")), "the unit is missing");
  for (const char* text : {"", "/s", "1/ms", "1/", "1/w"}) EXPECT_FALSE(parse_rate(text)) << text;
}

TEST(Values, ReadsAddresses) {
  EXPECT_EQ(*parse_address("127.0.0.1:8080"), (Address{"127.0.0.1", 8080}));
  EXPECT_EQ(*parse_address("0.0.0.0:0"), (Address{"0.0.0.0", 0}));
  EXPECT_EQ(*parse_address("[::1]:8080"), (Address{"::1", 8080}));
  EXPECT_EQ(*parse_address("localhost:1"), (Address{"127.0.0.1", 1}));
  EXPECT_EQ(fault(parse_address("127.0.0.1")), "the port is missing");
  EXPECT_EQ(fault(parse_address("127.0.0.1:65536")), "the port is no number up to 65535");
  EXPECT_EQ(fault(parse_address("127.0.0.1:")), "the port is no number up to 65535");
  EXPECT_EQ(fault(parse_address(":8080")), "the host is missing; 0.0.0.0 is every IPv4 address");
  EXPECT_EQ(fault(parse_address("::1:8080")), "an IPv6 address stands in brackets");
  EXPECT_EQ(fault(parse_address("[::1:8080")), "the ] is missing");
  for (const char* text : {"", "example.org:80", "[127.0.0.1]:80", "256.0.0.1:80", "[::1]8080"}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
}

TEST(Values, KnowsWhichAddressesAreLoopback) {
  EXPECT_TRUE((Address{"127.0.0.1", 1}).loopback());
  EXPECT_TRUE((Address{"127.9.9.9", 1}).loopback());
  EXPECT_TRUE((Address{"::1", 1}).loopback());
  EXPECT_TRUE((Address{"::ffff:127.0.0.1", 1}).loopback());
  EXPECT_FALSE((Address{"0.0.0.0", 1}).loopback());
  EXPECT_FALSE((Address{"::", 1}).loopback());
  EXPECT_FALSE((Address{"::ffff:10.0.0.1", 1}).loopback());
}

TEST(Values, ReadsUrls) {
  EXPECT_EQ(*parse_url("https://gpu-a.example:8000/v1"), "https://gpu-a.example:8000/v1");
  EXPECT_EQ(*parse_url("http://[::1]:8000/v1/"), "http://[::1]:8000/v1");
  EXPECT_EQ(*parse_url("http://127.0.0.1"), "http://127.0.0.1");
  EXPECT_EQ(fault(parse_url("gpu-a:8000")), "http:// or https:// is missing");
  EXPECT_EQ(fault(parse_url("ftp://gpu-a")), "only http and https are understood");
  EXPECT_EQ(fault(parse_url("http://")), "the host is missing");
  EXPECT_EQ(fault(parse_url("http:///v1")), "the host is missing");
  EXPECT_EQ(fault(parse_url("http://a:0")), "the port is no number from 1 to 65535");
  EXPECT_EQ(fault(parse_url("http://a:x/")), "the port is no number from 1 to 65535");
  EXPECT_EQ(fault(parse_url("http://a b/")), "it has a character that must be percent-encoded");
  EXPECT_EQ(fault(parse_url("http://me:pw@a/")),
            "it has a user or password: those go into `api_key` or `headers`");
  EXPECT_EQ(fault(parse_url("http://a/v1?x=y")),
            "it has a query or fragment: those go into `query`");
  for (const char* text : {"", "http://a\r\nb", "http://[::g]/", "http://-a/", "http://a%20b/"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
}

TEST(Values, AreWrittenAsTheyAreRead) {
  EXPECT_EQ(to_text(true), "true");
  EXPECT_EQ(to_text(0.4), "0.4");
  EXPECT_EQ(to_text(50.0), "50");
  EXPECT_EQ(to_text(kib(32)), "32KiB");
  EXPECT_EQ(to_text(Bytes{1025}), "1025B");
  EXPECT_EQ(to_text(Bytes{0}), "0");
  EXPECT_EQ(to_text(Duration(90s)), "90s");
  EXPECT_EQ(to_text(Duration(24h)), "1d");
  EXPECT_EQ(to_text(Duration(1500us)), "1500us");
  EXPECT_EQ(ratio_to_text(0.07), "7%");
  EXPECT_EQ(ratio_to_text(0), "0%");
  EXPECT_EQ(to_string(Address{"::1", 80}), "[::1]:80");
  EXPECT_EQ(to_string(Address{"127.0.0.1", 80}), "127.0.0.1:80");
}

TEST(Values, EveryPercentageOfATenthComesBackTheSame) {
  for (int tenths = 0; tenths <= 1000; ++tenths) {
    const double value = tenths / 1000.0;
    const Result<double, Fault> again = parse_ratio(ratio_to_text(value));
    ASSERT_TRUE(again);
    EXPECT_DOUBLE_EQ(*again, value);
  }
}

}  // namespace
}  // namespace penstock::settings
