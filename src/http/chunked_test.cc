#include "http/chunked.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::http {
namespace {

struct Decoded {
  std::string body;
  ChunkedDecoder::State state = ChunkedDecoder::State::more;
  std::size_t consumed = 0;
};

// Feeds the text in pieces of `piece` bytes.
Decoded decode(std::string_view text, std::size_t piece) {
  ChunkedDecoder decoder;
  Decoded out;
  while (out.consumed < text.size()) {
    std::string_view in = text.substr(out.consumed, piece);
    while (!in.empty()) {
      const auto step = decoder.next(in);
      out.consumed += step.consumed;
      out.state = step.state;
      out.body += step.data;
      if (step.state == ChunkedDecoder::State::end || step.state == ChunkedDecoder::State::bad) {
        return out;
      }
      in.remove_prefix(step.consumed);
    }
  }
  return out;
}

TEST(ChunkedDecoder, ReadsTheSameWhereverTheBytesAreCut) {
  const std::string text =
      "5\r\nhello\r\n1A;ext=\"x\"\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nT: x\r\n\r\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    const Decoded out = decode(text + "NEXT", piece);
    EXPECT_EQ(out.state, ChunkedDecoder::State::end) << piece;
    EXPECT_EQ(out.body, "helloabcdefghijklmnopqrstuvwxyz") << piece;
    EXPECT_EQ(out.consumed, text.size()) << piece;
  }
}

TEST(ChunkedDecoder, AsksForMoreUntilTheEnd) {
  const std::string text = "3\r\nabc\r\n0\r\n\r\n";
  for (std::size_t n = 0; n < text.size(); ++n) {
    const Decoded out = decode(text.substr(0, n), 64);
    EXPECT_NE(out.state, ChunkedDecoder::State::end) << n;
    EXPECT_NE(out.state, ChunkedDecoder::State::bad) << n;
  }
}

TEST(ChunkedDecoder, RefusesWhatIsNotInTheGrammar) {
  for (const std::string text : {"\r\n",
                                 "g\r\n",
                                 "-5\r\n",
                                 "+5\r\nhello\r\n",
                                 " 5\r\n",
                                 "5 \r\nhello\r\n",
                                 "0x5\r\n",
                                 "5\nhello\r\n",
                                 "5\r\nhello\n0\r\n\r\n",
                                 "5\r\nhelloX\r\n",
                                 "5\rhello",
                                 "5;a\nb\r\n",
                                 "5;a\x01\r\n",
                                 "00000000000000005\r\nhello\r\n",
                                 "0\r\nT: a\nb\r\n\r\n",
                                 "0\r\n T: a\r\n\r\n",
                                 "0\r\n\rX",
                                 "0\r\nT\r\n\r\n",
                                 "0\r\n: a\r\n\r\n",
                                 "0\r\nT : a\r\n\r\n",
                                 "0\r\nGET / HTTP/1.1\r\n\r\n"}) {
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
      EXPECT_EQ(decode(text, piece).state, ChunkedDecoder::State::bad) << text;
    }
  }
}

TEST(ChunkedDecoder, TakesTheLargestSizeThatItCanCount) {
  ChunkedDecoder decoder;
  const auto step = decoder.next("FFFFFFFFFFFFFFFF\r\nabc");
  EXPECT_EQ(step.state, ChunkedDecoder::State::data);
  EXPECT_EQ(step.data, "abc");
  EXPECT_EQ(decode("00000000000000003\r\nabc\r\n", 64).state, ChunkedDecoder::State::bad);
  EXPECT_EQ(decode("0000000000000003\r\nabc\r\n0\r\n\r\n", 64).body, "abc");
}

TEST(ChunkedDecoder, GivesViewsIntoItsInput) {
  const std::string text = "3\r\nabc\r\n";
  ChunkedDecoder decoder;
  EXPECT_EQ(decoder.next(text).data.data(), text.data() + 3);
}

TEST(ChunkedDecoder, BoundsExtensionsAndTrailers) {
  EXPECT_EQ(decode("1;" + std::string(1025, 'a') + "\r\n", 64).state, ChunkedDecoder::State::bad);
  std::string many;
  for (int i = 0; i < 300; ++i) many += "1;abcd\r\nx\r\n";
  EXPECT_EQ(decode(many, 64).state, ChunkedDecoder::State::bad);
  EXPECT_EQ(decode("0\r\nT: " + std::string(9000, 'a') + "\r\n\r\n", 64).state,
            ChunkedDecoder::State::bad);
}

}  // namespace
}  // namespace penstock::http
