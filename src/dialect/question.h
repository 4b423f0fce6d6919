// OpenAI's requests read in one pass: validated whole, the routed fields taken out, the rest
// brought into a form in which equal questions are equal bytes.
//
//   body --simdjson: where tokens begin, UTF-8--> tokens --one walk--> fields, canonical form
//
// simdjson finds the tokens and checks the encoding; the walk over them is ours, because it must
// see every member at every level: what two parsers could read differently (a member named twice,
// a lone surrogate, 1e999) is refused, never passed on.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "exchange/exchange.h"

namespace penstock::dialect {

// Bounds of a body's shape; its size is http's concern.
inline constexpr std::size_t kMostDepth = 64;
inline constexpr std::size_t kMostMembers = 100'000;
inline constexpr std::size_t kMostModelBytes = 256;

// One a worker. Allocates nothing once it has seen bodies of the usual sizes; what a large body
// (over 1 MiB) needed is given back at once.
class QuestionReader {
 public:
  QuestionReader();
  QuestionReader(QuestionReader&&) noexcept;
  QuestionReader& operator=(QuestionReader&&) noexcept;
  ~QuestionReader();

  // Reads question.body into the other fields of `question`, all of which are set anew. What
  // there is to say against the body is returned: a 400 in OpenAI's words, with a param where the
  // JSON is sound and one of its fields is not. Of Endpoint::other
  // only model and stream are looked for, and no value of theirs is refused for its type.
  //
  // `canonical`: also fills question.canonical. Equal bytes mean equal questions: the order of
  // members and white space do not count, strings are compared as they read unescaped, numbers
  // by value (1, 1.0 and 1e0 are equal; no digit is lost, however many there are); an absent
  // parameter is not its default. Not in it: model, stream, stream_options, user, metadata.
  //
  // REQUIRES: endpoint and body are set, and 64 bytes behind the body are readable.
  std::optional<Refusal> read(Question& question, bool canonical);

 private:
  class Walk;
  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace penstock::dialect
