// What the fuzz targets share: a check that aborts, and chance that the input decides.
//
// A target is one function of libFuzzer's, in a file of its own. It does not only wait for a crash:
// it says what must hold of every input, and FUZZ_CHECK ends the program where it does not. The
// same files run over the corpus without the fuzzer, by replay.cc, in every `./dev test`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

#define FUZZ_CHECK(condition, ...)                                                           \
  do {                                                                                       \
    if (!(condition)) penstock::fuzz::broken(__FILE__, __LINE__, #condition, {__VA_ARGS__}); \
  } while (false)

namespace penstock::fuzz {

// A text in a report: what is no printable ASCII as \xNN.
inline std::string printable(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '\\') {
      out += c;
    } else {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

[[noreturn]] inline void broken(const char* file, int line, const char* condition,
                                std::initializer_list<std::string_view> shown) {
  std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
  for (const std::string_view text : shown) {
    std::fprintf(stderr, "  %s\n", printable(text).c_str());
  }
  std::abort();
}

// xorshift64* (Vigna 2016). Its seed is made of the input, so that an input always does the same.
class Chance {
 public:
  explicit Chance(std::string_view input) {
    for (const char c : input) state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    state_ |= 1;
  }
  // Below `bound`, which is not 0.
  std::size_t below(std::size_t bound) {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<std::size_t>((state_ * 0x2545f4914f6cdd1du) >> 33) % bound;
  }
  bool one_in(std::size_t count) { return below(count) == 0; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325u;
};

// A copy on the heap, of exactly this size: what is read behind it is seen.
class Bytes {
 public:
  explicit Bytes(std::string_view text) : size_(text.size()), data_(new char[text.size()]) {
    text.copy(data_.get(), size_);
  }
  char* data() { return data_.get(); }
  const char* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  std::string_view text() const { return {data_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> data_;
};

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace penstock::fuzz
