// What an engine is asked for embeddings, and what it answers (OpenAI's POST /v1/embeddings).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock::dialect {

// Appends the body of a question for these texts' embeddings.
void write_embeddings_question(std::string& out, std::string_view model,
                               std::span<const std::string> texts);

// The vectors of an answer to `count` texts, in the order of the texts; all of one length, of 1 to
// `most` numbers. An Error of Source::engine says what is wrong with it.
Result<std::vector<std::vector<float>>> read_embeddings(std::string_view body, std::size_t count,
                                                        std::size_t most);

}  // namespace penstock::dialect
