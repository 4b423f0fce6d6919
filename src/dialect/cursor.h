// A JSON text read from its beginning to its end, value by value, without memory of its own.
//
//   Cursor json(text);
//   Members members(json);
//   while (members.next()) {
//     if (members.name() == "usage") read(json); else json.skip();
//   }
//   if (!json.ok()) ...
//
// For what engines say: answers and the chunks of streams, small texts of which a few fields
// matter. The grammar is checked of everything that is read or skipped (nesting, names, numbers,
// words, control bytes); UTF-8, duplicate names and what escapes mean are the reader's concern.
// Each member and element must be read or skipped before the next. After the first fault nothing
// moves any more: ok() is asked once, at the end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dialect/bytes.h"

namespace penstock::dialect {

class Cursor {
 public:
  static constexpr int kMostDepth = 64;

  explicit Cursor(std::string_view text)
      : begin_(text.data()), at_(begin_), end_(begin_ + text.size()) {}

  bool ok() const { return at_ != nullptr; }
  // Nothing but white space is left. REQUIRES: ok().
  bool at_end() {
    space();
    return at_ == end_;
  }
  void fail() { at_ = nullptr; }

  // The first byte of the next value, or of what stands in its place; NUL at the end.
  char peek() {
    if (!ok()) return '\0';
    space();
    return at_ < end_ ? *at_ : '\0';
  }
  bool is_string() { return peek() == '"'; }
  bool is_object() { return peek() == '{'; }
  bool is_array() { return peek() == '['; }
  bool is_null() { return peek() == 'n'; }

  // Behind what was read last; null after a fault.
  const char* here() const { return at_; }
  // Where the next value begins. REQUIRES: ok().
  const char* position() {
    space();
    return at_;
  }

  // The whole next value, as it is written.
  std::string_view skip() {
    const char* const from = ok() ? position() : nullptr;
    skip_value(0);
    if (!ok()) return {};
    return {from, static_cast<std::size_t>(at_ - from)};
  }

  // The next value, a string, between its quotes and with its escapes.
  std::string_view raw_string() {
    if (peek() != '"') {
      fail();
      return {};
    }
    const char* const from = at_ + 1;
    skip_string();
    if (!ok()) return {};
    return {from, static_cast<std::size_t>(at_ - 1 - from)};
  }

  // The next value, where it is an integer in [0, 2^64); skipped else.
  std::optional<std::uint64_t> unsigned_integer();
  // The next value, where it is a string; skipped else.
  std::optional<std::string> string();

  // Steps over one byte of structure.
  void expect(char c) {
    if (peek() != c) {
      fail();
    } else {
      ++at_;
    }
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

 private:
  void space() {
    while (at_ < end_ && is_space(*at_)) ++at_;
  }
  void skip_string();
  void skip_value(int depth);
  void skip_number();
  void skip_word(std::string_view word);

  const char* begin_;
  const char* at_;  // null after a fault
  const char* end_;
};

// The members of the object that comes next. Names are as written: one with escapes in it equals
// none that has none.
class Members {
 public:
  explicit Members(Cursor& cursor) : cursor_(cursor) { cursor_.expect('{'); }

  bool next() {
    if (!cursor_.ok()) return false;
    if (cursor_.accept('}')) return false;
    if (!first_) cursor_.expect(',');
    first_ = false;
    name_ = cursor_.raw_string();
    cursor_.expect(':');
    return cursor_.ok();
  }
  std::string_view name() const { return name_; }

 private:
  Cursor& cursor_;
  std::string_view name_;
  bool first_ = true;
};

// The elements of the array that comes next.
class Elements {
 public:
  explicit Elements(Cursor& cursor) : cursor_(cursor) { cursor_.expect('['); }

  bool next() {
    if (!cursor_.ok()) return false;
    if (cursor_.accept(']')) return false;
    if (!first_) cursor_.expect(',');
    first_ = false;
    return cursor_.ok();
  }

 private:
  Cursor& cursor_;
  bool first_ = true;
};

// The text that the content of a string stands for. A \u that names no character becomes U+FFFD,
// another escape that is none stays as it is.
std::string unescaped(std::string_view raw);
// Whether it stands for `text`.
bool stands_for(std::string_view raw, std::string_view text);

}  // namespace penstock::dialect
