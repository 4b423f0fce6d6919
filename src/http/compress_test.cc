// What is negotiated, and that what comes out is the coding that it is called.
#include "http/compress.h"

#include <brotli/decode.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include "http/inflate.h"

namespace penstock::http {
namespace {

constexpr std::array kAll = {Packing::zstd, Packing::br, Packing::gzip};

std::string agreed(std::string_view accept, std::span<const Packing> offered = kAll) {
  const auto packing = negotiate(accept, offered);
  return packing ? std::string(name_of(*packing)) : "as it is";
}

TEST(Negotiate, TakesTheFirstOfWhatIsOfferedThatTheClientTakes) {
  EXPECT_EQ(agreed("gzip, deflate, br, zstd"), "zstd");
  EXPECT_EQ(agreed("gzip, deflate"), "gzip");
  EXPECT_EQ(agreed("GZIP"), "gzip");
  EXPECT_EQ(agreed("x-gzip"), "gzip");
  EXPECT_EQ(agreed("br"), "br");
  EXPECT_EQ(agreed("*"), "zstd");
  EXPECT_EQ(agreed(""), "as it is");
  EXPECT_EQ(agreed("deflate"), "as it is");
  EXPECT_EQ(agreed("identity"), "as it is");
  EXPECT_EQ(agreed("gzip, br", {}), "as it is");
  constexpr std::array kOne = {Packing::gzip};
  EXPECT_EQ(agreed("gzip, br", kOne), "gzip");
  EXPECT_EQ(agreed("br", kOne), "as it is");
}

TEST(Negotiate, ListensToTheWeights) {
  EXPECT_EQ(agreed("zstd;q=0.1, gzip;q=0.9"), "gzip");
  EXPECT_EQ(agreed("zstd; q=0, br;q=0.000, gzip"), "gzip");
  EXPECT_EQ(agreed("*;q=0.5, zstd;q=0"), "br");
  EXPECT_EQ(agreed("identity;q=1, gzip;q=0.5"), "as it is");
  EXPECT_EQ(agreed("identity;q=0.5, gzip;q=0.5"), "gzip");
  EXPECT_EQ(agreed("gzip;q=x"), "as it is");
  EXPECT_EQ(agreed("gzip;q=1.0000"), "as it is");
  EXPECT_EQ(agreed(",, ;q=1,gzip"), "gzip");
}

std::string undone(Packing packing, const std::string& body, std::size_t room) {
  std::string out(room, '\0');
  if (packing == Packing::zstd) {
    const std::size_t size = ZSTD_decompress(out.data(), room, body.data(), body.size());
    return ZSTD_isError(size) != 0 ? "bad" : out.substr(0, size);
  }
  if (packing == Packing::br) {
    std::size_t size = room;
    const auto result =
        BrotliDecoderDecompress(body.size(), reinterpret_cast<const std::uint8_t*>(body.data()),
                                &size, reinterpret_cast<std::uint8_t*>(out.data()));
    return result == BROTLI_DECODER_RESULT_SUCCESS ? out.substr(0, size) : "bad";
  }
  Inflater inflater(Coding::gzip, body);
  std::size_t size = 0;
  for (;;) {
    const Inflater::Step step = inflater.next(out.data() + size, room - size);
    size += step.produced;
    if (step.state == Inflater::State::end) return out.substr(0, size);
    if (step.state == Inflater::State::bad || size == room) return "bad";
  }
}

TEST(Compress, ComesBackAsItWas) {
  std::string text;
  for (int i = 0; text.size() < 200'000; ++i) text += "{\"n\":" + std::to_string(i * i) + "},";
  for (const std::string& body : {text, std::string("x"), std::string(1'500'000, 'a')}) {
    for (const Packing packing : kAll) {
      std::size_t fast = 0;
      for (const Effort effort : {Effort::fast, Effort::dense}) {
        const std::string packed = compress(packing, effort, body);
        ASSERT_FALSE(packed.empty()) << name_of(packing);
        EXPECT_TRUE(undone(packing, packed, body.size() + 1) == body) << name_of(packing);
        if (effort == Effort::fast) fast = packed.size();
        if (body == text && effort == Effort::dense) {
          EXPECT_LT(packed.size(), fast) << name_of(packing);
        }
      }
    }
  }
}

}  // namespace
}  // namespace penstock::http
