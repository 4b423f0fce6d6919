#include "dialect/answer.h"

#include "dialect/json.h"
#include "dialect/outline.h"
#include "dialect/stream.h"

namespace penstock::dialect {
namespace {

// The text of a message's content: a string, or parts of which some are text.
std::string content_text(std::string_view content) {
  Cursor json(content);
  if (json.is_string()) return unescaped(json.raw_string());
  std::string text;
  if (!json.is_array()) return text;
  Elements parts(json);
  while (parts.next()) {
    if (!json.is_object()) {
      json.skip();
      continue;
    }
    std::string_view part;
    bool is_text = false;
    Members members(json);
    while (members.next()) {
      const std::string_view name = members.name();
      if (stands_for(name, "text") && json.is_string()) {
        part = json.raw_string();
      } else if (stands_for(name, "type") && json.is_string()) {
        const std::string_view type = json.raw_string();
        is_text = stands_for(type, "text") || stands_for(type, "input_text");
      } else {
        json.skip();
      }
    }
    if (!is_text) continue;
    if (!text.empty()) text += '\n';
    text += unescaped(part);
  }
  return text;
}

std::string last_user_content(Cursor& json) {
  std::string_view last;
  Elements messages(json);
  while (messages.next()) {
    if (!json.is_object()) {
      json.skip();
      continue;
    }
    std::string_view content;
    bool user = false;
    Members members(json);
    while (members.next()) {
      const std::string_view name = members.name();
      if (stands_for(name, "role") && json.is_string()) {
        user = stands_for(json.raw_string(), "user");
      } else if (stands_for(name, "content")) {
        content = json.skip();
      } else {
        json.skip();
      }
    }
    if (user) last = content;
  }
  return last.empty() ? std::string() : content_text(last);
}

std::string first_string(Cursor& json) {
  if (json.is_string()) return unescaped(json.raw_string());
  std::string text;
  bool found = false;
  if (!json.is_array()) {
    json.skip();
    return text;
  }
  Elements elements(json);
  while (elements.next()) {
    if (found || !json.is_string()) {
      json.skip();
    } else {
      text = unescaped(json.raw_string());
      found = true;
    }
  }
  return text;
}

void write_head(JsonWriter& json, const Made& made, std::string_view object) {
  json.begin_object();
  json.member("id", made.id);
  json.member("object", object);
  json.member("created", made.created);
  json.member("model", made.model);
}

void write_text_or_null(JsonWriter& json, std::string_view name, std::string_view text) {
  json.key(name);
  if (text.empty()) {
    json.null();
  } else {
    json.value(text);
  }
}

constexpr std::string_view kChunk = "chat.completion.chunk";
constexpr std::string_view kText = "text_completion";

}  // namespace

std::optional<Facts> answer_facts(std::string_view body, Endpoint endpoint) {
  Outline outline;
  if (!read_outline(body, outline)) return std::nullopt;
  Facts facts;
  facts.has_usage = outline.usage.has_value();
  facts.usage = outline.usage.value_or(Usage{});
  facts.content_filtered = outline.content_filtered;
  facts.tool_calls = outline.tool_calls;
  const bool whole = endpoint == Endpoint::embeddings
                         ? outline.has_data
                         : outline.seen != Choices{} && outline.seen == outline.finished;
  facts.cacheable = whole && !outline.error && !outline.content_filtered;
  return facts;
}

std::optional<Facts> stream_facts(std::string_view frames) {
  StreamReader reader;
  if (!reader.feed(frames) || reader.broken()) return std::nullopt;
  Facts facts;
  facts.has_usage = reader.usage().has_value();
  facts.usage = reader.usage().value_or(Usage{});
  facts.content_filtered = reader.content_filtered();
  facts.tool_calls = reader.tool_calls();
  facts.cacheable = reader.whole() && !reader.content_filtered();
  return facts;
}

std::optional<Usage> read_usage(std::string_view body) {
  Outline outline;
  if (!read_outline(body, outline)) return std::nullopt;
  return outline.usage;
}

std::string question_text(std::string_view body, Endpoint endpoint) {
  const std::string_view wanted = endpoint == Endpoint::chat          ? "messages"
                                  : endpoint == Endpoint::completions ? "prompt"
                                                                      : "input";
  Cursor json(body);
  Members members(json);
  std::string text;
  while (members.next()) {
    if (!stands_for(members.name(), wanted)) {
      json.skip();
    } else if (endpoint == Endpoint::chat && json.is_array()) {
      text = last_user_content(json);
    } else {
      text = first_string(json);
    }
  }
  return text;
}

// ---- writing -----------------------------------------------------------------------------------

void write_usage(std::string& out, const Usage& usage) {
  JsonWriter json(out);
  json.begin_object();
  json.member("prompt_tokens", usage.input);
  json.member("completion_tokens", usage.output);
  json.member("total_tokens", usage.input + usage.output);
  if (usage.cached_input > 0) {
    json.key("prompt_tokens_details").begin_object();
    json.member("cached_tokens", usage.cached_input).end_object();
  }
  if (usage.reasoning > 0) {
    json.key("completion_tokens_details").begin_object();
    json.member("reasoning_tokens", usage.reasoning).end_object();
  }
  json.end_object();
}

void write_chat(std::string& out, const Made& made, std::string_view content,
                std::string_view finish_reason, const Usage& usage) {
  JsonWriter json(out);
  write_head(json, made, "chat.completion");
  json.key("choices").begin_array().begin_object();
  json.member("index", 0);
  json.key("message").begin_object();
  json.member("role", "assistant");
  json.member("content", content);
  json.member_null("refusal");
  json.end_object();
  json.member_null("logprobs");
  write_text_or_null(json, "finish_reason", finish_reason);
  json.end_object().end_array();
  json.key("usage");
  write_usage(out, usage);
  json.end_object();
}

void write_completion(std::string& out, const Made& made, std::string_view text,
                      std::string_view finish_reason, const Usage& usage) {
  JsonWriter json(out);
  write_head(json, made, kText);
  json.key("choices").begin_array().begin_object();
  json.member("index", 0);
  json.member("text", text);
  json.member_null("logprobs");
  write_text_or_null(json, "finish_reason", finish_reason);
  json.end_object().end_array();
  json.key("usage");
  write_usage(out, usage);
  json.end_object();
}

void write_chat_event(std::string& out, const Made& made, const Piece& piece) {
  out += "data: ";
  JsonWriter json(out);
  write_head(json, made, kChunk);
  json.key("choices").begin_array().begin_object();
  json.member("index", 0);
  json.key("delta").begin_object();
  if (piece.first) json.member("role", "assistant");
  if (piece.first || !piece.text.empty()) json.member("content", piece.text);
  json.end_object();
  json.member_null("logprobs");
  write_text_or_null(json, "finish_reason", piece.finish_reason);
  json.end_object().end_array();
  if (piece.usage_null) json.member_null("usage");
  json.end_object();
  out += "\n\n";
}

void write_completion_event(std::string& out, const Made& made, const Piece& piece) {
  out += "data: ";
  JsonWriter json(out);
  write_head(json, made, kText);
  json.key("choices").begin_array().begin_object();
  json.member("index", 0);
  json.member("text", piece.text);
  json.member_null("logprobs");
  write_text_or_null(json, "finish_reason", piece.finish_reason);
  json.end_object().end_array();
  if (piece.usage_null) json.member_null("usage");
  json.end_object();
  out += "\n\n";
}

void write_usage_event(std::string& out, const Made& made, const Usage& usage, Endpoint endpoint) {
  out += "data: ";
  JsonWriter json(out);
  write_head(json, made, endpoint == Endpoint::completions ? kText : kChunk);
  json.key("choices").begin_array().end_array();
  json.key("usage");
  write_usage(out, usage);
  json.end_object();
  out += "\n\n";
}

void write_model(std::string& out, const ModelView& model) {
  JsonWriter json(out);
  json.begin_object();
  json.member("id", model.id);
  json.member("object", "model");
  json.member("created", model.created);
  json.member("owned_by", model.owned_by);
  json.end_object();
}

void write_models(std::string& out, std::span<const ModelView> models) {
  JsonWriter json(out);
  json.begin_object().member("object", "list").key("data").begin_array();
  for (const ModelView& model : models) {
    if (out.back() != '[') out += ',';
    write_model(out, model);
  }
  json.end_array().end_object();
}

}  // namespace penstock::dialect
