#include "engine/documents.h"

#include <ctime>

#include "base/uuid.h"
#include "dialect/answer.h"
#include "dialect/json.h"

namespace penstock::engine {
namespace {

constexpr std::size_t kPieceBytes = 48;  // of a streamed answer: a few words

// Nobody's tokenizer is asked: about four characters a token.
std::uint64_t tokens_of(std::string_view text) { return text.size() / 4 + 1; }

std::string answer_text(const std::vector<Finding>& findings, const Library& library) {
  if (findings.empty()) {
    const std::uint64_t files = library.files();
    return "I found nothing about this in the documents (" + std::to_string(files) +
           (files == 1 ? " file" : " files") +
           "). I only quote what they say: other words may find it.";
  }
  std::string text = findings.size() == 1
                         ? "This is what the documents say:\n"
                         : "These are the places in the documents that fit best:\n";
  const Finding* before = nullptr;
  for (const Finding& finding : findings) {
    const bool same = before != nullptr && before->source == finding.source &&
                      before->passage.heading == finding.passage.heading;
    if (!same) text += "\n**" + finding.passage.heading + "** (`" + finding.source + "`)\n";
    text += "\n> ";
    for (const char c : finding.passage.text) {
      text += c;
      if (c == '\n') text += "> ";
    }
    text += '\n';
    before = &finding;
  }
  return text;
}

// The end of a piece that begins at `at`: behind a word, never inside a character.
std::size_t piece_end(std::string_view text, std::size_t at) {
  std::size_t end = std::min(text.size(), at + kPieceBytes);
  while (end < text.size() && text[end] != ' ' && text[end] != '\n') ++end;
  return end;
}

Answer refusal(std::string_view message) {
  Answer answer;
  answer.status = 404;
  dialect::JsonWriter json(answer.body);
  json.begin_object().key("error").begin_object();
  json.member("message", message).member("type", "invalid_request_error");
  json.member_null("param").member("code", "unsupported_by_engine").end_object().end_object();
  return answer;
}

}  // namespace

Task<Result<Answer>> DocumentsEngine::call(const Call& call, Deadline& deadline) {
  const Question& question = call.question;
  const bool chat = question.endpoint == Endpoint::chat;
  if (!chat && question.endpoint != Endpoint::completions) {
    co_return refusal(
        "The documents engine answers chat and completions; it has no model that "
        "could make anything else.");
  }
  std::string asked = dialect::question_text(question.body, question.endpoint);
  const std::uint64_t input = tokens_of(asked);
  Result<std::vector<Finding>> found = co_await library_->search(std::move(asked), deadline);
  if (!found) co_return std::move(found).error();

  const std::string text = answer_text(*found, *library_);
  Random random;
  const std::string id = (chat ? "chatcmpl-" : "cmpl-") + std::to_string(random.next());
  const dialect::Made made{id, question.model, std::time(nullptr)};
  Usage usage;
  usage.input = input;
  usage.output = tokens_of(text);
  Answer answer;
  if (!question.stream) {
    if (chat) {
      dialect::write_chat(answer.body, made, text, "stop", usage);
    } else {
      dialect::write_completion(answer.body, made, text, "stop", usage);
    }
    co_return answer;
  }
  answer.content_type = "text/event-stream; charset=utf-8";
  const bool with_usage = question.include_usage || call.ask_usage;
  const auto write = [&](const dialect::Piece& piece) {
    if (chat) {
      dialect::write_chat_event(answer.body, made, piece);
    } else {
      dialect::write_completion_event(answer.body, made, piece);
    }
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = piece_end(text, at);
    write({at == 0, std::string_view(text).substr(at, end - at), {}, with_usage});
    at = end;
  }
  write({false, {}, "stop", with_usage});
  if (with_usage) dialect::write_usage_event(answer.body, made, usage, question.endpoint);
  answer.body += dialect::kDoneEvent;
  co_return answer;
}

Task<Result<std::vector<Model>>> DocumentsEngine::models(Deadline&) {
  co_return std::vector<Model>{{name_, "penstock", 0}};
}

}  // namespace penstock::engine
