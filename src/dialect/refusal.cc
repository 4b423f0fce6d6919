#include "dialect/refusal.h"

#include <simdjson.h>

#include <algorithm>
#include <vector>

#include "dialect/cursor.h"
#include "dialect/json.h"

namespace penstock::dialect {
namespace {

std::string sentence(std::string_view text, std::string_view detail) {
  std::string message(text);
  if (!detail.empty()) {
    message += ": ";
    message += detail;
  }
  if (message.back() != '.') message += '.';
  return message;
}

// An error that names its engine is a sentence of its own: "Engine gpu-a: its answer is cut short."
std::string engine_sentence(std::string_view text, std::string_view detail) {
  if (!detail.starts_with("engine ")) return sentence(text, detail);
  std::string message = sentence(detail, {});
  message.front() = 'E';
  return message;
}

constexpr std::size_t kMostText = 500;  // bytes of an engine's text that is no JSON

// What an engine said of its refusal. All but the message as it is written.
struct Said {
  std::optional<std::string> message;
  std::string_view type, param, code;
  struct Member {
    std::string_view name, value;
  };
  std::vector<Member> more;

  bool complete() const {
    return message && type.starts_with('"') && !param.empty() && !code.empty();
  }
};

void read_member(Cursor& json, std::string_view name, Said& said) {
  if (name == "message" && json.is_string()) {
    said.message = json.string();
  } else if (name == "message") {
    json.skip();
  } else if (name == "type") {
    said.type = json.skip();
  } else if (name == "param") {
    said.param = json.skip();
  } else if (name == "code") {
    said.code = json.skip();
  } else {
    said.more.push_back({name, json.skip()});
  }
}

std::string_view type_of(int status) {
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

// The beginning of a text, cut between characters.
std::string beginning(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
  text.remove_prefix(begin);
  text = text.substr(0, text.find_last_not_of(kSpace) + 1);
  if (text.size() > kMostText) {
    std::size_t end = kMostText;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text = text.substr(0, end);
  }
  return std::string(text);
}

// What a client did.
Refusal of_client(const Error& error) {
  if (error.kind == Kind::exhausted) {
    return refusal(Reason::client_too_slow,
                   "The client was too slow for an answer that others wait for.");
  }
  return refusal(Reason::client_left, "The client left.");
}

}  // namespace

void write_refusal(std::string& out, const Refusal& refusal) {
  JsonWriter json(out);
  const auto text_or_null = [&](std::string_view name, std::string_view text) {
    json.key(name);
    if (text.empty()) {
      json.null();
    } else {
      json.value(text);
    }
  };
  json.begin_object().key("error").begin_object();
  json.member("message", std::string_view(refusal.message));
  json.member("type", refusal.type);
  text_or_null("param", refusal.param);
  text_or_null("code", refusal.code);
  json.end_object().end_object();
}

void write_refusal_event(std::string& out, const Refusal& refusal) {
  out += "data: ";
  write_refusal(out, refusal);
  out += "\n\n";
}

Refusal refusal_of(const Error& error) {
  if (error.source == Source::client) return of_client(error);
  // What our own files and databases say is for our own logs.
  const bool inside = error.source == Source::store || error.kind == Kind::internal;
  const std::string_view detail = inside ? std::string_view() : std::string_view(error.detail);
  switch (error.kind) {
    case Kind::unreachable:
      return refusal(Reason::engine_unavailable,
                     engine_sentence("No engine could be reached", detail));
    case Kind::timeout:
      return refusal(Reason::engine_timeout,
                     engine_sentence("The answer did not come in time", detail));
    case Kind::cancelled: return refusal(Reason::shutting_down, "The gateway is stopping.");
    case Kind::exhausted:
      return refusal(Reason::overloaded, sentence("The gateway is at its limit", detail));
    case Kind::refused:
      if (error.source != Source::engine) break;
      {
        Refusal refused =
            refusal(Reason::engine_credentials_refused,
                    engine_sentence("The engine refused the gateway's credentials", detail));
        refused.final = true;
        return refused;
      }
    case Kind::invalid:
    case Kind::too_large:
    case Kind::not_found:
    case Kind::broken:
      if (error.source != Source::engine) break;
      return refusal(Reason::engine_error, engine_sentence("The engine's answer failed", detail));
    case Kind::internal: break;
  }
  return refusal(Reason::internal_error,
                 sentence("The gateway failed to answer this request", detail));
}

std::optional<std::string> completed_refusal(std::string_view body, int status) {
  Said top;
  Said inner;
  bool is_object = false;
  std::optional<std::string> text;    // "error": "..."
  std::optional<std::string> detail;  // of FastAPI: a string, or what was wrong with which field
  Cursor json(body);
  Members members(json);
  while (members.next()) {
    if (members.name() == "error" && json.is_object()) {
      is_object = true;
      Members said(json);
      while (said.next()) read_member(json, said.name(), inner);
    } else if (members.name() == "error" && json.is_string()) {
      text = json.string();
    } else if (members.name() == "detail") {
      detail = json.is_string() ? json.string() : beginning(json.skip());
    } else {
      read_member(json, members.name(), top);
    }
  }
  Said said;
  // What is not UTF-8 is no JSON either: its members must not go on as they are.
  if (json.ok() && json.at_end() && simdjson::validate_utf8(body)) {
    if (is_object && inner.complete()) return std::nullopt;
    if (is_object) {
      said = std::move(inner);
    } else if (!text && !detail && top.message) {
      said = top;
    }
    if (!said.message && text) said.message = std::move(text);
    if (!said.message && detail) said.message = std::move(detail);
    if (!said.message && top.message) said.message = std::move(top.message);
  }
  if (!said.message) said.message = beginning(body);
  if (said.message->empty()) {
    said.message = "The engine answered with status " + std::to_string(status) + ".";
  }

  std::string out;
  JsonWriter writer(out);
  writer.begin_object().key("error").begin_object();
  writer.member("message", std::string_view(*said.message));
  if (said.type.starts_with('"')) {
    writer.member_raw("type", said.type);
  } else {
    writer.member("type", type_of(status));
  }
  writer.member_raw("param", said.param.empty() ? "null" : said.param);
  writer.member_raw("code", said.code.empty() ? "null" : said.code);
  for (const Said::Member& member : said.more) {
    writer.member_raw(unescaped(member.name), member.value);
  }
  writer.end_object().end_object();
  return out;
}

}  // namespace penstock::dialect
