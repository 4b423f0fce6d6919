// The scan for words: one pass over the bytes, each of which goes into a running hash.

#include <algorithm>
#include <span>

#include "complexity/words.h"

namespace penstock::complexity {
namespace {

constexpr std::uint64_t kBasis = 0xcbf29ce484222325;
constexpr std::uint64_t kStem = 0x9ae16a3b2f90404f;
constexpr std::uint64_t kPair = 0xc3a5c85c97cb3127;
constexpr std::uint64_t kSequence = 0xb492b66fbe98f273;

constexpr std::uint64_t step(std::uint64_t hash, unsigned char byte) {
  return (hash ^ byte) * 0x100000001b3;
}
constexpr std::uint64_t mixed(std::uint64_t hash, std::uint64_t with) {
  hash = (hash ^ with) * 0x9fb21c651e98df25;
  return hash ^ (hash >> 29);
}

enum class Kind : std::uint8_t { gap, letter, digit, ideograph };

// One character that is not ASCII: what it is, and its bytes in lower case.
struct Character {
  Kind kind = Kind::gap;
  std::uint8_t size = 1;
  std::array<unsigned char, 3> bytes{};
};

constexpr bool continues(unsigned char byte) { return (byte & 0xc0) == 0x80; }

// Of two bytes: Latin, Greek, Cyrillic, Arabic and others.
Character two_bytes(unsigned char a, unsigned char b) {
  Character c{Kind::letter, 2, {a, b}};
  const auto small = [&](int by) { c.bytes[1] = static_cast<unsigned char>(b + by); };
  switch (a) {
    case 0xc2: c.kind = Kind::gap; break;  // signs, spaces, quotes
    case 0xc3:
      if (b == 0x97 || b == 0xb7) c.kind = Kind::gap;
      if (b <= 0x9e) small(0x20);
      break;
    case 0xc4:
    case 0xc5:
      // Mostly pairs of large and small; the few that are the other way round equal none of ours.
      if (b % 2 == 0) small(1);
      break;
    case 0xd0:
      if (b >= 0x90 && b <= 0x9f) small(0x20);
      if (b >= 0xa0 && b <= 0xaf) c.bytes = {0xd1, static_cast<unsigned char>(b - 0x20)};
      break;
    case 0xd8:
      if (b == 0x9f || b == 0x8c || b == 0x9b) c.kind = Kind::gap;  // ؟ ، ؛
      break;
    default: break;
  }
  return c;
}

Character three_bytes(unsigned char a, unsigned char b, unsigned char c) {
  Character character{Kind::letter, 3, {a, b, c}};
  if (a == 0xe2 || (a == 0xe3 && b == 0x80) || a == 0xef) {
    character.kind = Kind::gap;  // punctuation, arrows, wide forms
  } else if (a >= 0xe3 && a <= 0xe9) {
    character.kind = Kind::ideograph;  // kana too
  }
  return character;
}

Character beyond_ascii(const unsigned char* at, std::size_t left) {
  const unsigned char a = at[0];
  if (a >= 0xc2 && a <= 0xdf && left >= 2 && continues(at[1])) return two_bytes(a, at[1]);
  if (a >= 0xe0 && a <= 0xef && left >= 3 && continues(at[1]) && continues(at[2])) {
    return three_bytes(a, at[1], at[2]);
  }
  if (a >= 0xf0 && a <= 0xf4 && left >= 4) return {Kind::gap, 4, {a}};
  return {Kind::gap, 1, {a}};
}

// Of ASCII: the letter in lower case; 1: a digit; 0: neither, as for all beyond it.
constexpr std::array<unsigned char, 256> kAscii = [] {
  std::array<unsigned char, 256> table{};
  for (unsigned char c = 'a'; c <= 'z'; ++c) table[c] = table[c - 0x20] = c;
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = 1;
  return table;
}();

constexpr std::size_t kLongWord = 9;  // characters

}  // namespace

class Words::Scan {
 public:
  Scan(const Words& words, Counts& counts)
      : words_(words), counts_(counts), sentence_at_(counts.words) {}

  void run(std::string_view text) {
    const auto* at = reinterpret_cast<const unsigned char*>(text.data());
    const auto* const end = at + text.size();
    while (at < end) {
      if (*at < 0x80) {
        at = kAscii[*at] > 1 ? letters(at, end) : ascii(at, end);
        continue;
      }
      const Character c = beyond_ascii(at, static_cast<std::size_t>(end - at));
      if (c.kind == Kind::letter) {
        letter({c.bytes.data(), c.size});
      } else {
        end_word();
        if (c.kind == Kind::ideograph) {
          ideograph(at, end);
        } else {
          mark(at, static_cast<std::size_t>(end - at));
        }
      }
      digits_ = false;
      at += c.size;
    }
    end_word();
    end_sentence();
    counts_.words += (ideographs_ + 1) / 2;
  }

 private:
  // A run of ASCII's letters, which is most of most texts; behind it.
  const unsigned char* letters(const unsigned char* at, const unsigned char* end) {
    const unsigned char* const begin = at;
    std::uint64_t sizes = size_ == 0 ? words_.stem_sizes_[kAscii[*at]] : stem_sizes_;
    std::uint64_t hash = hash_;
    for (; at < end && kAscii[*at] > 1; ++at) {
      hash = step(hash, kAscii[*at]);
      sizes >>= 1;
      if ((sizes & 1) != 0) stem(hash, sizes);
    }
    size_ += static_cast<std::size_t>(at - begin);
    letters_ += static_cast<std::size_t>(at - begin);
    stem_sizes_ = sizes;
    hash_ = hash;
    digits_ = false;
    return at;
  }

  // What was read of a word is as long as some stem is: the first that it is counts.
  void stem(std::uint64_t hash, std::uint64_t& sizes) {
    stem_ = words_.find(mixed(hash, kStem));
    if (stem_ != kNone) sizes = 0;
  }

  // Another byte of ASCII; behind it.
  const unsigned char* ascii(const unsigned char* at, const unsigned char* end) {
    if (kAscii[*at] == 1) {
      end_word();
      if (!digits_) ++counts_.numbers;
      digits_ = true;
    } else if (*at == ' ') {
      end_word();
      digits_ = false;
    } else if ((*at == '\'' || *at == '-' || *at == ';') && size_ > 0 && at + 1 < end &&
               kAscii[at[1]] > 1) {
      letter({at, 1});  // "what's", "trade-off"
    } else {
      end_word();
      mark(at, static_cast<std::size_t>(end - at));
      digits_ = digits_ && (*at == '.' || *at == ',');
    }
    return at + 1;
  }

  void letter(std::span<const unsigned char> bytes) {
    if (size_ == 0) stem_sizes_ = words_.stem_sizes_[bytes[0]];
    for (const unsigned char byte : bytes) hash_ = step(hash_, byte);
    size_ += bytes.size();
    ++letters_;
    stem_sizes_ >>= bytes.size();
    if ((stem_sizes_ & 1) != 0) stem(hash_, stem_sizes_);
  }

  void end_word() {
    if (size_ == 0) return;
    ++counts_.words;
    if (letters_ >= kLongWord) ++counts_.long_words;
    if (before_ != 0) count(words_.find(mixed(mixed(before_, kPair), hash_)));
    const std::size_t sign = words_.find(hash_);
    count(sign == kNone ? stem_ : sign);
    before_ = hash_;
    hash_ = kBasis;
    size_ = letters_ = 0;
    stem_ = kNone;
  }

  void end_sentence() {
    const std::uint32_t words = counts_.words + ideographs_ / 2 - sentence_at_;
    if (words == 0) return;
    ++counts_.sentences;
    counts_.longest = std::max(counts_.longest, words);
    sentence_at_ += words;
  }

  // What begins with this character.
  void ideograph(const unsigned char* at, const unsigned char* end) {
    ++ideographs_;
    before_ = 0;
    std::uint64_t hash = kBasis;
    std::size_t found = kNone;
    for (std::size_t n = 0; n < 4 && end - at >= 3 && *at >= 0xe3 && *at <= 0xe9; ++n) {
      for (std::size_t i = 0; i < 3; ++i) hash = step(hash, at[i]);
      at += 3;
      const std::size_t sign = words_.find(mixed(hash, kSequence));
      if (sign != kNone) found = sign;
    }
    count(found);
  }

  void mark(const unsigned char* at, std::size_t left) {
    const auto is = [&](std::string_view other) {
      return left >= other.size() &&
             std::equal(other.begin(), other.end(), at,
                        [](char a, unsigned char b) { return static_cast<unsigned char>(a) == b; });
    };
    switch (*at) {
      case ',':
      case ';':
      case ':':
        if (!digits_) ++counts_.commas;
        break;
      case '?':
        ++counts_.questions;
        end_sentence();
        break;
      case '.':
        if (!digits_) end_sentence();
        break;
      case '!':
      case '\n': end_sentence(); break;
      case '$':
      case '\\':
      case '^': ++counts_.maths; break;
      case 0xef:
        if (is("？")) ++counts_.questions;
        if (is("，") || is("：") || is("；")) ++counts_.commas;
        break;
      case 0xe3:
        if (is("、")) ++counts_.commas;
        if (is("。")) end_sentence();
        break;
      case 0xe2:
        if (is("∫") || is("∑") || is("√") || is("∀") || is("≤") || is("≥") || is("∈")) {
          ++counts_.maths;
        }
        break;
      case 0xd8:
        if (is("؟")) ++counts_.questions;
        if (is("،") || is("؛")) ++counts_.commas;
        break;
      default: break;
    }
    before_ = 0;  // two words in a row have nothing but a space between them
  }

  void count(std::size_t sign) {
    if (sign != kNone) ++counts_.signs[sign];
  }

  const Words& words_;
  Counts& counts_;
  std::uint64_t hash_ = kBasis;
  std::uint64_t before_ = 0;  // of the word before; 0: there is none
  std::size_t size_ = 0;      // bytes of the word under way
  std::size_t letters_ = 0;
  std::size_t stem_ = kNone;
  // Of stems that begin as the word does, bit n: there is one that has n bytes more than were read.
  std::uint64_t stem_sizes_ = 0;
  std::uint32_t ideographs_ = 0;
  std::uint32_t sentence_at_ = 0;  // words before it
  bool digits_ = false;
};

void Words::scan(std::string_view text, Counts& counts) const { Scan(*this, counts).run(text); }

void Words::add(std::string_view word, Sign sign) {
  const bool stem = word.ends_with('*');
  if (stem) word.remove_suffix(1);
  std::uint64_t hash = kBasis;
  std::uint64_t before = 0;
  for (const char c : word) {
    if (c == '_') {
      before = hash;
      hash = kBasis;
    } else {
      hash = step(hash, static_cast<unsigned char>(c));
    }
  }
  const auto first = static_cast<unsigned char>(word.front());
  if (stem) {
    stem_sizes_[first] |= std::uint64_t{1} << word.size();
    put(mixed(hash, kStem), sign);
  } else if (first >= 0xe3 && first <= 0xe9) {
    put(mixed(hash, kSequence), sign);
  } else {
    put(before == 0 ? hash : mixed(mixed(before, kPair), hash), sign);
  }
}

void Words::put(std::uint64_t hash, Sign sign) {
  std::size_t at = hash % kSlots;
  while (slots_[at].sign != kNone && slots_[at].hash != hash) at = (at + 1) % kSlots;
  // What stands in two lists has the meaning of the later one.
  slots_[at] = {hash, static_cast<std::size_t>(sign)};
  bits_[hash % kBits / 64] |= std::uint64_t{1} << hash % 64;
}

std::size_t Words::find_slot(std::uint64_t hash) const {
  std::size_t at = hash % kSlots;
  while (slots_[at].sign != kNone && slots_[at].hash != hash) at = (at + 1) % kSlots;
  return slots_[at].sign;
}

}  // namespace penstock::complexity
