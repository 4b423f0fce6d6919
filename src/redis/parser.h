// Reads RESP3 as it comes, in pieces of any size.
//
//   Parser parser;
//   while (!in.empty()) {
//     const Parser::Step step = parser.next(in);
//     in.remove_prefix(step.consumed);
//     if (step.state == State::value) use(parser.take());
//     if (step.state == State::bad) close();            // parser.why()
//   }
//
// What is open stands on a stack of its own, not on the program's; depth, number of elements and
// bytes of one value are bounded, and nothing is allocated for what was only announced. Streamed
// types (`$?`, `*?`) are refused: no server sends them to who has not asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "redis/value.h"

namespace penstock::redis {

class Parser {
 public:
  // Of one value, attributes before it included.
  struct Bounds {
    std::size_t depth = 8;              // aggregates in each other
    std::size_t elements = 256 * 1024;  // of all aggregates together
    std::size_t bytes = 64 * 1024 * 1024;
  };
  static constexpr std::size_t kLine = 64 * 1024;  // of a simple text or a number

  enum class State : std::uint8_t {
    more,   // all is consumed, the value is not whole
    value,  // take() has it; what is behind it is not consumed
    bad,    // the bytes are no RESP3, or over a bound: there is no going on
  };
  struct Step {
    State state;
    std::size_t consumed;
  };

  Parser() = default;
  explicit Parser(const Bounds& bounds) : bounds_(bounds) {}

  Step next(std::string_view in);
  // REQUIRES: the last step's state was value.
  Value take() { return std::move(whole_); }
  // What is wrong. REQUIRES: the last step's state was bad.
  std::string_view why() const { return why_; }
  // Nothing of a value has come.
  bool idle() const { return stack_.empty() && line_.empty() && !in_bulk_ && elements_ == 0; }

 private:
  struct Open {
    Value value;
    std::size_t left;
    bool attribute;
  };
  enum class Line : std::uint8_t { more, whole, bad };

  bool fail(std::string_view why);
  Line take_line(std::string_view& in, std::string_view& line);
  bool read_header(std::string_view line);
  bool open(Type type, std::string_view count, std::size_t each, bool attribute);
  bool open_bulk(Type type, std::string_view size, bool verbatim);
  bool take_bulk(std::string_view& in);
  // A value is whole: it goes where it belongs.
  void finish(Value value);

  const Bounds bounds_{};
  std::vector<Open> stack_;
  std::string line_;  // of which the end has not come
  Value bulk_;        // while in_bulk_
  bool in_bulk_ = false;
  bool verbatim_ = false;
  std::size_t bulk_left_ = 0;  // with the CR LF behind it
  std::size_t elements_ = 0;   // announced so far
  std::size_t bytes_ = 0;
  bool done_ = false;  // whole_ has a value that nobody was told of
  bool bad_ = false;
  Value whole_;
  std::string_view why_;
};

}  // namespace penstock::redis
