#include "dialect/messages.h"

#include <initializer_list>

#include "dialect/cursor.h"

namespace penstock::dialect {
namespace {

// Pieces of JSON one behind the other; strings go over as they are written, escapes and all.
void put(std::string& out, std::initializer_list<std::string_view> pieces) {
  for (const std::string_view piece : pieces) out += piece;
}

// The elements of a list that is being written.
class List {
 public:
  explicit List(std::string& out) : out_(out) { out_ += '['; }
  std::string& next() {
    if (!empty_) out_ += ',';
    empty_ = false;
    return out_;
  }
  void end() { out_ += ']'; }

 private:
  std::string& out_;
  bool empty_ = true;
};

constexpr std::string_view kNull = "null";

bool null(std::string_view value) { return value.empty() || value == kNull; }

void text_part(List& parts, std::string_view quoted) {
  put(parts.next(), {R"({"type":"text","content":)", quoted, "}"});
}

// {"type":"text","text":"..."} is told anew; others have a type of their own already.
void part(List& parts, std::string_view written) {
  Cursor json(written);
  std::string_view type, text;
  if (json.is_object()) {
    Members members(json);
    while (members.next()) {
      const bool is_type = members.name() == "type";
      const bool is_text = members.name() == "text";
      const std::string_view value = json.skip();
      if (is_type) type = value;
      if (is_text) text = value;
    }
  }
  if (type == R"("text")" && !text.empty()) {
    text_part(parts, text);
  } else {
    parts.next() += written;
  }
}

void content_parts(List& parts, std::string_view content) {
  if (null(content)) return;
  Cursor json(content);
  if (!json.is_array()) return text_part(parts, content);
  Elements elements(json);
  while (elements.next()) part(parts, json.skip());
}

// {"id":"...","type":"function","function":{"name":"...","arguments":"..."}}
void tool_call(List& parts, Cursor& json) {
  std::string_view id = kNull, name = kNull, arguments = kNull;
  Members members(json);
  while (members.next()) {
    if (members.name() == "id") {
      id = json.skip();
    } else if (members.name() == "function" && json.is_object()) {
      Members function(json);
      while (function.next()) {
        const bool is_name = function.name() == "name";
        const bool is_arguments = function.name() == "arguments";
        const std::string_view value = json.skip();
        if (is_name) name = value;
        if (is_arguments) arguments = value;
      }
    } else {
      json.skip();
    }
  }
  put(parts.next(), {R"({"type":"tool_call","id":)", id, R"(,"name":)", name, R"(,"arguments":)",
                     arguments, "}"});
}

// One message of a chat; behind its parts there may be more members.
void message(std::string& out, Cursor& json, std::string_view finish_reason = {}) {
  std::string_view role = R"("assistant")", content, reasoning, calls, answers;
  Members members(json);
  while (members.next()) {
    const std::string_view name = members.name();
    const std::string_view value = json.skip();
    if (name == "role") role = value;
    if (name == "content" || name == "refusal") content = null(value) ? content : value;
    if (name == "reasoning_content" || name == "reasoning") reasoning = value;
    if (name == "tool_calls") calls = value;
    if (name == "tool_call_id") answers = value;
  }
  put(out, {R"({"role":)", role, R"(,"parts":)"});
  List parts(out);
  if (!null(reasoning)) {
    put(parts.next(), {R"({"type":"reasoning","content":)", reasoning, "}"});
  }
  if (!answers.empty()) {
    put(parts.next(), {R"({"type":"tool_call_response","id":)", answers, R"(,"response":)",
                       null(content) ? kNull : content, "}"});
  } else {
    content_parts(parts, content);
  }
  Cursor called(calls);
  if (called.is_array()) {
    Elements elements(called);
    while (elements.next()) {
      if (called.is_object()) {
        tool_call(parts, called);
      } else {
        called.skip();
      }
    }
  }
  parts.end();
  if (!finish_reason.empty()) put(out, {R"(,"finish_reason":)", finish_reason});
  out += '}';
}

void said(List& messages, std::string_view role, std::string_view quoted,
          std::string_view finish_reason = {}) {
  std::string& out = messages.next();
  put(out, {R"({"role":")", role, R"(","parts":[{"type":"text","content":)", quoted, "}]"});
  if (!finish_reason.empty()) put(out, {R"(,"finish_reason":)", finish_reason});
  out += '}';
}

// Of a prompt or an input: one text, or several; tokens are not told.
void texts(List& messages, Cursor& json) {
  if (json.is_array()) {
    Elements elements(json);
    while (elements.next()) {
      const bool text = json.is_string();
      const std::string_view value = json.skip();
      if (text) said(messages, "user", value);
    }
  } else if (json.is_string()) {
    said(messages, "user", json.skip());
  } else {
    json.skip();
  }
}

std::string_view input_of(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::chat: return "messages";
    case Endpoint::completions: return "prompt";
    case Endpoint::embeddings: return "input";
    case Endpoint::models:
    case Endpoint::other: break;
  }
  return {};
}

// One choice of an answer: a message, or a text.
void choice(List& messages, std::string_view written) {
  std::string_view text, inner, reason;
  Cursor json(written);
  Members members(json);
  while (members.next()) {
    const std::string_view name = members.name();
    const std::string_view value = json.skip();
    if (name == "text") text = value;
    if (name == "message") inner = value;
    if (name == "finish_reason" && !null(value)) reason = value;
  }
  Cursor its(inner);
  if (its.is_object()) {
    message(messages.next(), its, reason);
  } else if (!null(text)) {
    said(messages, "assistant", text, reason);
  }
}

}  // namespace

std::string input_messages(std::string_view body, Endpoint endpoint) {
  const std::string_view wanted = input_of(endpoint);
  Cursor json(body);
  if (wanted.empty() || !json.is_object()) return {};
  std::string out;
  List messages(out);
  Members members(json);
  while (members.next()) {
    if (members.name() != wanted) {
      json.skip();
    } else if (endpoint != Endpoint::chat) {
      texts(messages, json);
    } else if (json.is_array()) {
      Elements elements(json);
      while (elements.next()) {
        if (json.is_object()) {
          message(messages.next(), json);
        } else {
          json.skip();
        }
      }
    } else {
      json.skip();
    }
  }
  messages.end();
  return json.ok() && out.size() > 2 ? out : std::string();
}

std::string output_messages(std::string_view body, Endpoint endpoint) {
  Cursor json(body);
  if (endpoint == Endpoint::embeddings || !json.is_object()) return {};
  std::string out;
  List messages(out);
  Members members(json);
  while (members.next()) {
    if (members.name() != "choices" || !json.is_array()) {
      json.skip();
      continue;
    }
    Elements elements(json);
    while (elements.next()) {
      const bool object = json.is_object();
      const std::string_view written = json.skip();
      if (object) choice(messages, written);
    }
  }
  messages.end();
  return json.ok() && out.size() > 2 ? out : std::string();
}

}  // namespace penstock::dialect
