// What a question wants of the simulated engine beside prose: a call of one of its tools, or JSON
// that fits a schema. Made of the schema itself, so that a client's parser and its tools have
// something to work on.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/uuid.h"
#include "dialect/answer.h"

namespace penstock::engine {

struct SimulatedForm {
  std::string json;  // the answer's text, or the arguments of the call
  std::string tool;  // the function that is called; empty: none is
};

// By `tools` and `tool_choice` (with `auto` a tool is called unless the last message is a tool's),
// then by `response_format`. Nothing where prose is wanted, or the body is no JSON.
std::optional<SimulatedForm> form_wanted(std::string_view body, Random& random);

// A text in the pieces of a stream, each a few bytes long and ending between characters.
std::vector<std::string_view> pieces_of(std::string_view text);

// Appends a chat.completion whose one choice calls the tool.
void write_call(std::string& out, const dialect::Made& made, const SimulatedForm& form,
                const Usage& usage);
// Appends an event with a part of the arguments; the first names the function.
void write_call_event(std::string& out, const dialect::Made& made, std::string_view tool,
                      std::string_view arguments, bool first, bool usage_null);

}  // namespace penstock::engine
