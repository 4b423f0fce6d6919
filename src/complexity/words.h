// Which words of a question say how much work it is: some two thousand, in a dozen languages, each
// with one meaning of `Sign`.
//
//   text --scan--> words, lower case, hashed as they are read --> a hit of the table counts a sign
//
// A word, a stem ("deriv*"), two words in a row, and for Chinese and Japanese, which have no
// spaces, a sequence of two to four characters. Everything is compared by a hash of 64 bits: a
// stranger who finds a collision changes the score of his own question.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace penstock::complexity {

enum class Sign : std::uint8_t {
  brief,       // the answer is to be short: "one word", "yes or no"
  fact,        // a look-up: "what is", "how many"
  wh,          // "who", "which", "how": each asks for something
  choice,      // "or"
  size,        // of the answer: "sentences", "words"
  small_task,  // "translate", "count", "convert"
  social,      // "hello", "thanks"
  explain,     // "how", "why", "compare"
  make,        // "write", "summarise", "function"
  work,        // "calculate", "check", "fix"
  fault,       // "error", "hangs"
  prove,       // "prove", "derive", "theorem"
  design,      // "design", "architecture", "migrate"
  deep,        // "trade-off", "root cause", "scenario"
  systems,     // "deadlock", "replica", "consistency"
  expert,      // law, finance, medicine: "liability", "hedge", "diagnosis"
  deep_math,   // "eigenvalue", "np-hard"
  demand,      // "must", "without", "at most", "each"
  sequence,    // "then", "first", "also"
};
inline constexpr std::size_t kSigns = 19;

// What one text, or several, have of them.
struct Counts {
  std::uint32_t words = 0;  // two Chinese or Japanese characters count as one
  std::uint32_t long_words = 0;
  std::uint32_t numbers = 0;
  std::uint32_t commas = 0;     // and semicolons, and colons
  std::uint32_t questions = 0;  // marks
  std::uint32_t maths = 0;      // signs of mathematics
  std::uint32_t sentences = 0;
  std::uint32_t longest = 0;  // sentence, in words
  std::array<std::uint32_t, kSigns> signs{};
};

// The table. Immutable; about 140 KiB, of which a scan mostly touches 8.
class Words {
 public:
  Words();

  // Adds what `text` has to `counts`. UTF-8; what is none of it parts words.
  void scan(std::string_view text, Counts& counts) const;

 private:
  static constexpr std::size_t kSlots = 8192;
  static constexpr std::size_t kBits = 65536;
  static constexpr std::size_t kNone = kSigns;
  struct Slot {
    std::uint64_t hash = 0;
    std::size_t sign = kNone;
  };
  class Scan;

  void add(std::string_view word, Sign sign);
  void put(std::uint64_t hash, Sign sign);
  // kNone: it is no word of ours.
  std::size_t find(std::uint64_t hash) const {
    // Nearly all are none, and most of them are known by one bit.
    if ((bits_[hash % kBits / 64] >> hash % 64 & 1) == 0) return kNone;
    return find_slot(hash);
  }
  std::size_t find_slot(std::uint64_t hash) const;

  std::array<std::uint64_t, kBits / 64> bits_{};
  std::vector<Slot> slots_{kSlots};
  // By the first byte, bit n: there is a stem of n bytes.
  std::array<std::uint64_t, 256> stem_sizes_{};
};

}  // namespace penstock::complexity
