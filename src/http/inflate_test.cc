#include "http/inflate.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

namespace penstock::http {
namespace {

std::string deflated(std::string_view text, Coding coding) {
  z_stream stream{};
  const int window = coding == Coding::gzip ? 15 + 16 : 15;
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct Inflated {
  std::string body;
  Inflater::State state = Inflater::State::more;
  int steps = 0;
};

Inflated inflated(std::string_view in, Coding coding, std::size_t room = Inflater::kStep) {
  Inflater inflater(coding, in);
  Inflated all;
  std::string out(room, '\0');
  while (all.state == Inflater::State::more) {
    const Inflater::Step step = inflater.next(out.data(), room);
    EXPECT_LE(step.produced, std::min(room, Inflater::kStep));
    all.body.append(out, 0, step.produced);
    all.state = step.state;
    ++all.steps;
  }
  return all;
}

// Not to be packed well, so that input and output end at odd places.
std::string text_of(std::size_t size) {
  std::string text;
  std::uint32_t state = 1;
  while (text.size() < size) {
    state = state * 1664525 + 1013904223;
    text += static_cast<char>('a' + (state >> 28));
  }
  return text;
}

constexpr Coding kBoth[] = {Coding::gzip, Coding::deflate};

TEST(Inflater, GivesBackWhatWasPackedWhateverTheRoom) {
  for (const Coding coding : kBoth) {
    for (const std::size_t size : {0U, 1U, 100U, 5000U}) {
      const std::string text = text_of(size);
      const std::string packed = deflated(text, coding);
      for (const std::size_t room : {1U, 2U, 3U, 7U, 100U, 4999U, 5000U, 5001U, 70000U}) {
        const Inflated out = inflated(packed, coding, room);
        EXPECT_EQ(out.state, Inflater::State::end) << size << " in rooms of " << room;
        EXPECT_EQ(out.body, text);
      }
    }
  }
}

TEST(Inflater, TakesEveryBodyThatIsCutShortForBad) {
  for (const Coding coding : kBoth) {
    const std::string packed = deflated(text_of(300), coding);
    for (std::size_t size = 0; size < packed.size(); ++size) {
      EXPECT_EQ(inflated(packed.substr(0, size), coding).state, Inflater::State::bad) << size;
    }
  }
}

TEST(Inflater, TakesWhateverStandsBehindTheEndForBad) {
  for (const Coding coding : kBoth) {
    const std::string packed = deflated("hello", coding);
    EXPECT_EQ(inflated(packed + '\0', coding).state, Inflater::State::bad);
    EXPECT_EQ(inflated(packed + packed, coding).state, Inflater::State::bad) << "a second member";
    EXPECT_EQ(inflated(packed + std::string(100000, 'x'), coding).state, Inflater::State::bad);
  }
}

TEST(Inflater, TakesAnotherFormatAndAnyFlippedBitForBad) {
  EXPECT_EQ(inflated(deflated("hello", Coding::gzip), Coding::deflate).state, Inflater::State::bad);
  EXPECT_EQ(inflated(deflated("hello", Coding::deflate), Coding::gzip).state, Inflater::State::bad);
  EXPECT_EQ(inflated(R"({"model":"m"})", Coding::gzip).state, Inflater::State::bad);
  const std::string text = text_of(200);
  const std::string packed = deflated(text, Coding::deflate);
  for (std::size_t bit = 0; bit < packed.size() * 8; ++bit) {
    std::string broken = packed;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << (bit % 8)));
    const Inflated out = inflated(broken, Coding::deflate);
    // The window's size may be flipped to a larger one; the text is the same then.
    EXPECT_TRUE(out.state == Inflater::State::bad || out.body == text) << "bit " << bit;
  }
}

TEST(Inflater, DoesNotMoreThanItsStepAtOnce) {
  const Inflated zeros =
      inflated(deflated(std::string(10 << 20, '\0'), Coding::gzip), Coding::gzip);
  EXPECT_EQ(zeros.state, Inflater::State::end);
  EXPECT_EQ(zeros.body.size(), 10U << 20);
  EXPECT_GE(zeros.steps, 160);

  // Empty stored blocks: much comes in, nothing goes out.
  std::string empty("\x78\x9c", 2);
  for (int i = 0; i < 100000; ++i) empty.append("\x00\x00\x00\xff\xff", 5);
  const Inflated nothing = inflated(empty, Coding::deflate);
  EXPECT_EQ(nothing.state, Inflater::State::bad) << "it has no end";
  EXPECT_GE(nothing.steps, 500000 / static_cast<int>(Inflater::kStep));
  EXPECT_TRUE(nothing.body.empty());
}

TEST(Inflater, KnowsTheCodingsByName) {
  EXPECT_EQ(coding_of("gzip"), Coding::gzip);
  EXPECT_EQ(coding_of("X-GZip"), Coding::gzip);
  EXPECT_EQ(coding_of("Deflate"), Coding::deflate);
  for (const std::string_view other : {"", "identity", "br", "gzip, gzip", "gzip,", "gzip;q=1"}) {
    EXPECT_EQ(coding_of(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace penstock::http
