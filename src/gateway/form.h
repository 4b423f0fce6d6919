// What an engine's answer must be before it is passed on, and the form in which it is.
//
//   status >= 400  --> OpenAI's error object, whole
//   other          --> a JSON object or, of chat and completions, an event stream; else an Error
//   a stream for a plain question, or the other way round --> the form that was asked for
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "exchange/exchange.h"

namespace penstock::gateway {

// The answer's bytes up to about `most`; `answer.rest` is null afterwards if that was all.
// REQUIRES: answer.rest.
Task<Result<std::string>> gather(Answer& answer, std::uint64_t most, Deadline& deadline);

// Bytes that were read ahead, then the rest.
std::unique_ptr<Flow> behind(std::string first, std::unique_ptr<Flow> rest);

// Makes the answer of the engine named so what it must be. Of one that comes bit by bit the
// beginning is judged. Other endpoints' answers are what they are. Gives the usage of a plain
// answer that is whole.
Task<Result<std::optional<Usage>>> make_sound(Answer& answer, Endpoint endpoint,
                                              std::string_view engine, Deadline& deadline);

// A good answer of chat or completions that has not the form that was asked for.
bool other_form(const Answer& answer, const Question& question);
// Makes it the one that was. REQUIRES: other_form().
Task<Result<void>> change_form(Answer& answer, const Question& question, Deadline& deadline);

}  // namespace penstock::gateway
