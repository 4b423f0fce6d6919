// The question at the end of a chat, where the chat is of words alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "exchange/exchange.h"

namespace penstock::dialect {

struct LastQuestion {
  std::string text;  // unescaped
  Range at;          // the string with its quotes, in the body
};

// The last message's text, if it is the user's and has one text alone, no message calls a tool,
// answers for one or has a part that is no text, and the user speaks at most `most_turns` times.
// Nothing else: also where a name is written with escapes, which only somebody who hides it does.
// REQUIRES: the body is a chat question that QuestionReader found nothing to say against.
std::optional<LastQuestion> last_question(std::string_view body, std::uint32_t most_turns);

}  // namespace penstock::dialect
