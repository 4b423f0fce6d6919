// Plain answers: what they say of themselves, and how an engine of our own writes them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "exchange/exchange.h"

namespace penstock::dialect {

// ---- reading -----------------------------------------------------------------------------------

// What an answer with status 200 amounts to.
struct Facts {
  Usage usage;  // zeros where the answer does not say
  bool has_usage = false;
  // Whole and good to give again: each choice has a finish reason and none was filtered; of
  // embeddings there is at least one. `length` counts: max_tokens is part of the question.
  bool cacheable = false;
  bool content_filtered = false;
  bool tool_calls = false;
};

// Nothing if the body is no JSON object.
std::optional<Facts> answer_facts(std::string_view body, Endpoint endpoint);
// Of the frames of a stream; nothing if they are malformed. Not cacheable without [DONE].
std::optional<Facts> stream_facts(std::string_view frames);
// The top-level usage; nothing if there is none.
std::optional<Usage> read_usage(std::string_view body);

// What was asked, as text: of chat the last user message (its text parts joined by LF), of
// completions the prompt, of embeddings the input; the first string where there are several.
// Empty if there is no text. The body has been read by QuestionReader.
std::string question_text(std::string_view body, Endpoint endpoint);
inline std::string last_user_text(std::string_view body) {
  return question_text(body, Endpoint::chat);
}

// ---- writing -----------------------------------------------------------------------------------

// What every part of one answer repeats.
struct Made {
  std::string_view id;  // "chatcmpl-..."
  std::string_view model;
  std::int64_t created = 0;  // Unix seconds
};

// {"prompt_tokens", "completion_tokens", "total_tokens"}, and the details that are not zero.
void write_usage(std::string& out, const Usage& usage);

// Appends a chat.completion object with one choice.
void write_chat(std::string& out, const Made& made, std::string_view content,
                std::string_view finish_reason, const Usage& usage);
// Appends a text_completion object with one choice.
void write_completion(std::string& out, const Made& made, std::string_view text,
                      std::string_view finish_reason, const Usage& usage);

// One event of a stream. A piece of text must end between characters.
struct Piece {
  bool first = false;              // chat: the delta names the role
  std::string_view text;           // may be empty
  std::string_view finish_reason;  // empty is null
  bool usage_null = false;         // the client asked for usage: all chunks but the last have null
};

// Appends `data: {...chat.completion.chunk...}` and the empty line.
void write_chat_event(std::string& out, const Made& made, const Piece& piece);
// The same for text completions.
void write_completion_event(std::string& out, const Made& made, const Piece& piece);
// The last chunk where the client asked for usage: no choices.
void write_usage_event(std::string& out, const Made& made, const Usage& usage, Endpoint endpoint);
inline constexpr std::string_view kDoneEvent = "data: [DONE]\n\n";

struct ModelView {
  std::string_view id;
  std::string_view owned_by;
  std::int64_t created = 0;  // Unix seconds
};

// Appends {"id", "object": "model", "created", "owned_by"}.
void write_model(std::string& out, const ModelView& model);
// Appends {"object": "list", "data": [...]}.
void write_models(std::string& out, std::span<const ModelView> models);

}  // namespace penstock::dialect
