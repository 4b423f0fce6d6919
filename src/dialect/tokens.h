// Where the tokens of a JSON text begin, found by simdjson sixty-four bytes at a time.
//
//   {"a": [1, "x"]}
//   ^^  ^ ^^^ ^  ^^    each mark is a token: an operator, or where a string, number or word begins
//
// simdjson calls this its first stage; it also checks the UTF-8, and that every string ends and
// holds no control byte. What tokens mean, and their order, is left to whoever walks over them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace simdjson::internal {
class dom_parser_implementation;  // NOLINT(readability-identifier-naming): simdjson's name
}

namespace penstock::dialect {

// Why a text is no JSON.
struct Defect {
  std::string_view what;  // a literal: "a string does not end"
  std::size_t at = 0;     // byte offset
};

class Tokens {
 public:
  static constexpr std::size_t kMostBytes = std::size_t{1} << 30;

  Tokens();
  Tokens(Tokens&&) noexcept;
  Tokens& operator=(Tokens&&) noexcept;
  ~Tokens();

  // Finds the tokens of `text`; begin() and end() are valid until the next call. What is found is
  // at least one token. REQUIRES: 64 bytes behind the text are readable.
  std::optional<Defect> find(std::string_view text);

  // Ascending byte offsets; *end() is readable, and is the text's size.
  const std::uint32_t* begin() const { return begin_; }
  const std::uint32_t* end() const { return end_; }

  // Gives back its memory, four bytes for each byte of the largest text so far.
  void release();

 private:
  std::unique_ptr<simdjson::internal::dom_parser_implementation> parser_;
  const std::uint32_t* begin_ = nullptr;
  const std::uint32_t* end_ = nullptr;
};

}  // namespace penstock::dialect
