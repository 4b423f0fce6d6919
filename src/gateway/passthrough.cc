#include "gateway/passthrough.h"

#include <algorithm>

#include "exchange/refusals.h"
#include "http/head.h"

namespace penstock::gateway {
namespace {

std::string_view media_type(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return type;
}

// A parameter of a field's value such as `form-data; name="model"` (RFC 9110 section 5.6.6), its
// name in any letter case, its value perhaps quoted (an escape in it stays one); nothing if it is
// not there.
std::optional<std::string_view> parameter_of(std::string_view value, std::string_view lower_name) {
  std::size_t at = value.find(';');
  while (at < value.size()) {
    at = value.find_first_not_of("; \t", at);
    if (at == std::string_view::npos) break;
    const std::size_t equals = value.find_first_of("=;", at);
    const std::string_view name = value.substr(at, equals - at);
    if (equals == std::string_view::npos || value[equals] == ';') {
      at = equals;
      continue;
    }
    at = equals + 1;
    std::string_view content;
    if (value.substr(at).starts_with('"')) {
      std::size_t end = ++at;
      while (end < value.size() && value[end] != '"') end += value[end] == '\\' ? 2U : 1U;
      if (end >= value.size()) break;  // without an end it is nothing
      content = value.substr(at, end - at);
      at = value.find(';', end);
    } else {
      content = value.substr(at, value.find_first_of("; \t", at) - at);
      at = value.find(';', at);
    }
    if (http::equal_lower(name, lower_name)) return content;
  }
  return std::nullopt;
}

// The boundary parameter of RFC 2046: at most 70 characters, perhaps quoted.
std::string_view boundary_of(std::string_view content_type) {
  const std::string_view boundary = parameter_of(content_type, "boundary").value_or("");
  return boundary.size() <= 70 ? boundary : std::string_view{};
}

// Whether a part's head says that it is a text field of this name.
bool names_field(std::string_view head, std::string_view name) {
  constexpr std::string_view kField = "content-disposition:";
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(head.size(), line.size() + 2));
    if (!http::equal_lower(line.substr(0, kField.size()), kField)) continue;
    return parameter_of(line, "name") == name && !parameter_of(line, "filename") &&
           !parameter_of(line, "filename*");
  }
  return false;
}

bool is_form(std::string_view content_type) {
  return http::equal_lower(media_type(content_type), "multipart/form-data");
}

// An engine that answers TRACE repeats what it was sent, its key too. No more does any API of
// engines know others than these, and to one that reads them in any letter case `get` is a GET.
constexpr std::string_view kPassing = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

bool passes(std::string_view method) {
  for (std::string_view rest = kPassing; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find(','));
    if (one == method) return true;
    rest.remove_prefix(std::min(rest.size(), one.size() + 2));
  }
  return false;
}

}  // namespace

Refusal method_not_allowed(std::string_view method, std::string_view path,
                           std::string_view allowed) {
  Refusal refused = refusal(Reason::method_not_allowed,
                            "Method " + std::string(method) + " is not for " + std::string(path) +
                                "; it takes " + std::string(allowed) + ".");
  refused.allow = allowed;
  return refused;
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

Result<std::optional<http::Coding>, Refusal> body_coding(const http::RequestHead& head) {
  std::string_view encoding;
  bool several = false;
  for (const http::Field& field : head.fields) {
    if (field.name != "content-encoding" || field.value.empty() ||
        http::equal_lower(field.value, "identity")) {
      continue;
    }
    several = !encoding.empty();
    encoding = field.value;
  }
  if (encoding.empty()) return std::optional<http::Coding>();
  const std::optional<http::Coding> coding = http::coding_of(encoding);
  if (coding && !several) return coding;
  // What a client sends is not repeated raw.
  const bool plain = !several && encoding.size() <= 32 &&
                     std::all_of(encoding.begin(), encoding.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '-' || c == ',' || c == ' ';
                     });
  Refusal refused = refusal(Reason::unsupported_content_encoding,
                            "The body's content-encoding is " +
                                (plain ? std::string(encoding) : std::string("not known")) +
                                "; it may be one of " + std::string(http::kCodings) + ", or none.");
  refused.accept_encoding = http::kCodings;
  return refused;
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
  if (question.endpoint == Endpoint::other) {
    if (!passes(head.method)) return method_not_allowed(head.method, head.path, kPassing);
    return read_passthrough(question, reader);
  }
  if (head.method != "POST") return method_not_allowed(head.method, head.path, "POST");
  if (!is_json(question.content_type)) {
    return refusal(Reason::unsupported_content_type,
                   "The body's content-type must be application/json.");
  }
  return reader.read(question, canonical);
}

std::optional<Refusal> read_passthrough(Question& question, dialect::QuestionReader& reader) {
  if (question.body.empty()) return std::nullopt;
  if (is_json(question.content_type)) return reader.read(question, false);
  if (is_form(question.content_type)) {
    const std::string_view model = multipart_field(question.content_type, question.body, "model");
    if (model.size() > 256) {
      return refusal(Reason::string_above_max_length,
                     "Invalid 'model': string too long. Expected a string with maximum length 256, "
                     "but got a string with length " +
                         std::to_string(model.size()) + " instead.",
                     "model");
    }
    question.model = model;
  }
  return std::nullopt;
}

std::optional<std::string> form_with_model(const Question& question, std::string_view name) {
  if (question.model == name || !is_form(question.content_type)) return std::nullopt;
  const std::string_view body = question.body;
  const std::string_view model = multipart_field(question.content_type, body, "model");
  if (model.empty()) return std::nullopt;
  constexpr std::size_t kPadding = 64;  // behind a question's body: see Question
  std::string other;
  other.reserve(body.size() - model.size() + name.size() + kPadding);
  const auto begin = static_cast<std::size_t>(model.data() - body.data());
  other += body.substr(0, begin);
  other += name;
  other += body.substr(begin + model.size());
  return other;
}

}  // namespace penstock::gateway
