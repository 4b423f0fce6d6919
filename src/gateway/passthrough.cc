#include "gateway/passthrough.h"

#include "http/head.h"

namespace penstock::gateway {
namespace {

std::string_view media_type(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return type;
}

// The boundary parameter of RFC 2046: at most 70 characters, perhaps quoted.
std::string_view boundary_of(std::string_view content_type) {
  std::size_t at = content_type.find(';');
  while (at != std::string_view::npos) {
    std::string_view parameter = content_type.substr(at + 1);
    while (!parameter.empty() && parameter.front() == ' ') parameter.remove_prefix(1);
    constexpr std::string_view kName = "boundary=";
    if (parameter.size() > kName.size() &&
        http::equal_lower(parameter.substr(0, kName.size()), kName)) {
      parameter.remove_prefix(kName.size());
      if (parameter.front() == '"') {
        parameter.remove_prefix(1);
        parameter = parameter.substr(0, parameter.find('"'));
      } else {
        parameter = parameter.substr(0, parameter.find_first_of("; "));
      }
      return parameter.size() <= 70 ? parameter : std::string_view{};
    }
    at = content_type.find(';', at + 1);
  }
  return {};
}

// One part's head, and where its content begins.
struct Part {
  std::string_view head;
  std::string_view content;
};

bool names_field(std::string_view head, std::string_view name) {
  const std::string quoted = "name=\"" + std::string(name) + "\"";
  const std::size_t at = head.find(quoted);
  // `filename="model"` ends in the same letters.
  return at != std::string_view::npos && at > 0 && (head[at - 1] == ' ' || head[at - 1] == ';') &&
         head.find("filename") == std::string_view::npos;
}

}  // namespace

Refusal method_not_allowed(std::string_view method, std::string_view path,
                           std::string_view allowed) {
  Refusal refusal;
  refusal.status = 405;
  refusal.allow = allowed;
  refusal.message = "Method " + std::string(method) + " is not for " + std::string(path) +
                    "; it takes " + std::string(allowed) + ".";
  return refusal;
}

Endpoint endpoint_of(std::string_view path) {
  if (path == "/v1/chat/completions") return Endpoint::chat;
  if (path == "/v1/completions") return Endpoint::completions;
  if (path == "/v1/embeddings") return Endpoint::embeddings;
  if (path == "/v1/models" || path.starts_with("/v1/models/")) return Endpoint::models;
  return Endpoint::other;
}

bool health_path(std::string_view path) {
  return path == "/livez" || path == "/readyz" || path == "/startupz" || path == "/health" ||
         path == "/health/liveliness" || path == "/health/readiness";
}

bool is_json(std::string_view content_type) {
  if (content_type == "application/json") return true;
  const std::string_view type = media_type(content_type);
  if (http::equal_lower(type, "application/json")) return true;
  return type.size() > 5 && http::equal_lower(type.substr(type.size() - 5), "+json");
}

std::string_view multipart_field(std::string_view content_type, std::string_view body,
                                 std::string_view name) {
  const std::string_view boundary = boundary_of(content_type);
  if (boundary.empty()) return {};
  const std::string delimiter = "--" + std::string(boundary);
  std::size_t at = body.find(delimiter);
  while (at != std::string_view::npos) {
    at += delimiter.size();
    if (body.substr(at, 2) != "\r\n") return {};  // the closing delimiter, or damage
    at += 2;
    const std::size_t head_end = body.find("\r\n\r\n", at);
    if (head_end == std::string_view::npos) return {};
    const std::size_t next = body.find("\r\n" + delimiter, head_end + 2);
    if (next == std::string_view::npos) return {};
    const std::string_view head = body.substr(at, head_end - at);
    if (head.size() < 1024 && names_field(head, name)) {
      const std::size_t begin = head_end + 4;
      return begin <= next ? body.substr(begin, next - begin) : std::string_view{};
    }
    at = next + 2;
  }
  return {};
}

std::optional<Refusal> read_question(Question& question, const http::RequestHead& head,
                                     dialect::QuestionReader& reader, bool canonical) {
  if (question.endpoint == Endpoint::models) {
    if (head.method == "GET" || head.method == "HEAD") return std::nullopt;
    return method_not_allowed(head.method, head.path, "GET, HEAD");
  }
  question.content_type = head.find("content-type");
  if (question.endpoint == Endpoint::other) return read_passthrough(question, reader);
  if (head.method != "POST") return method_not_allowed(head.method, head.path, "POST");
  if (!is_json(question.content_type)) {
    Refusal refusal;
    refusal.status = 415;
    refusal.message = "The body's content-type must be application/json.";
    refusal.code = "unsupported_content_type";
    return refusal;
  }
  return reader.read(question, canonical);
}

std::optional<Refusal> read_passthrough(Question& question, dialect::QuestionReader& reader) {
  if (question.body.empty()) return std::nullopt;
  if (is_json(question.content_type)) return reader.read(question, false);
  if (http::equal_lower(media_type(question.content_type), "multipart/form-data")) {
    const std::string_view model = multipart_field(question.content_type, question.body, "model");
    if (model.size() > 256) {
      Refusal refusal;
      refusal.message = "The form's model is longer than 256 bytes.";
      refusal.param = "model";
      return refusal;
    }
    question.model = model;
  }
  return std::nullopt;
}

}  // namespace penstock::gateway
