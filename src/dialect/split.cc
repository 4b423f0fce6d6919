// A plain answer taken apart to the stream that would have brought it.
#include <algorithm>

#include "dialect/answer.h"
#include "dialect/bytes.h"
#include "dialect/cursor.h"
#include "dialect/json.h"
#include "dialect/stream.h"

namespace penstock::dialect {
namespace {

constexpr std::size_t kPiece = 96;  // bytes of a piece of text, as it is written

// The length of the character or escape that the content of a string begins with.
std::size_t unit_length(std::string_view raw) {
  if (raw[0] == '\\') {
    if (raw.size() < 6 || raw[1] != 'u') return std::min<std::size_t>(2, raw.size());
    // The halves of a surrogate pair stay together.
    const bool high =
        (raw[2] == 'd' || raw[2] == 'D') &&
        (raw[3] == '8' || raw[3] == '9' || (raw[3] | 0x20) == 'a' || (raw[3] | 0x20) == 'b');
    const bool pair = high && raw.size() >= 12 && raw[6] == '\\' && raw[7] == 'u';
    return pair ? 12 : 6;
  }
  return std::max<std::size_t>(1, utf8_length(raw.data(), raw.data() + raw.size()));
}

// Takes the next piece off: whole characters, up to a space where there is one.
std::string_view take_piece(std::string_view& raw) {
  std::size_t length = 0;
  std::size_t space = 0;
  while (length < raw.size() && length < kPiece) {
    const bool is_gap = raw[length] == ' ';
    length += unit_length(raw.substr(length));
    if (is_gap) space = length;
  }
  if (length < raw.size() && space > 0) length = space;
  const std::string_view piece = raw.substr(0, length);
  raw.remove_prefix(length);
  return piece;
}

struct Part {
  std::string_view name;  // as written
  std::string_view value;
};

struct Choice {
  std::uint64_t index = 0;
  std::vector<Part> message;  // of chat
  std::string_view text;      // of completions, between the quotes
  std::vector<Part> rest;     // logprobs, finish_reason and what is not known
};

struct Plain {
  std::vector<Part> head;  // id, created, model ...: repeated in each chunk
  std::vector<Part> once;  // what else there is: in the first chunk
  std::vector<Choice> choices;
  std::string_view usage;
  bool chat = false;
};

bool repeated(std::string_view name) {
  return name == "id" || name == "created" || name == "model" || name == "system_fingerprint" ||
         name == "service_tier";
}

void read_choice(Cursor& json, Plain& plain) {
  Choice choice;
  // As everywhere: without an index of its own it is what its place says.
  choice.index = plain.choices.size();
  Members members(json);
  while (members.next()) {
    const std::string_view name = members.name();
    if (name == "index") {
      choice.index = json.unsigned_integer().value_or(choice.index);
    } else if (name == "message" && json.is_object()) {
      plain.chat = true;
      Members parts(json);
      while (parts.next()) {
        const std::string_view part = parts.name();
        choice.message.push_back({part, json.skip()});
      }
    } else if (name == "text" && json.is_string()) {
      choice.text = json.raw_string();
    } else {
      choice.rest.push_back({name, json.skip()});
    }
  }
  plain.choices.push_back(std::move(choice));
}

bool read_plain(std::string_view text, Plain& plain) {
  Cursor json(text);
  Members members(json);
  while (members.next()) {
    const std::string_view name = members.name();
    if (name == "choices") {
      Elements choices(json);
      while (choices.next()) read_choice(json, plain);
    } else if (name == "usage") {
      plain.usage = json.skip();
    } else if (name == "object") {
      json.skip();
    } else {
      const std::string_view value = json.skip();
      (repeated(name) ? plain.head : plain.once).push_back({name, value});
    }
  }
  return json.ok() && json.at_end() && !plain.choices.empty();
}

class Splitter {
 public:
  Splitter(const Plain& plain, bool include_usage) : plain_(plain), include_usage_(include_usage) {}

  std::string split();

 private:
  // An event of one choice: begun, filled in by the caller, ended.
  void begin(const Choice& choice);
  void end(const Choice* finished);
  void begin_delta(const Choice& choice);
  void end_delta(const Choice* finished = nullptr);
  void head();
  void member(std::string_view name, std::string_view value);
  void separate();

  void chat(const Choice& choice);
  void tool_calls(const Choice& choice, std::string_view calls);
  void completion(const Choice& choice);

  const Plain& plain_;
  bool include_usage_;
  bool first_ = true;
  std::string out_;
};

void Splitter::separate() {
  const char last = out_.back();
  if (last != '{' && last != '[') out_ += ',';
}

void Splitter::member(std::string_view name, std::string_view value) {
  separate();
  out_ += '"';
  out_ += name;
  out_ += "\":";
  out_ += value;
}

void Splitter::head() {
  out_ += "data: {";
  member("object", plain_.chat ? "\"chat.completion.chunk\"" : "\"text_completion\"");
  for (const Part& part : plain_.head) member(part.name, part.value);
  if (first_) {
    for (const Part& part : plain_.once) member(part.name, part.value);
  }
  first_ = false;
}

void Splitter::begin(const Choice& choice) {
  head();
  out_ += ",\"choices\":[{\"index\":";
  out_ += std::to_string(choice.index);
}

void Splitter::end(const Choice* finished) {
  if (finished != nullptr) {
    for (const Part& part : finished->rest) member(part.name, part.value);
  } else {
    out_ += ",\"finish_reason\":null";
  }
  out_ += "}]";
  if (include_usage_) out_ += ",\"usage\":null";
  out_ += "}\n\n";
}

void Splitter::begin_delta(const Choice& choice) {
  begin(choice);
  out_ += ",\"delta\":{";
}

void Splitter::end_delta(const Choice* finished) {
  out_ += '}';
  end(finished);
}

// Each call in an event of its own, with the index that a plain answer's calls do not have.
void Splitter::tool_calls(const Choice& choice, std::string_view calls) {
  Cursor json(calls);
  std::size_t index = 0;
  Elements elements(json);
  while (elements.next()) {
    begin_delta(choice);
    out_ += "\"tool_calls\":[{\"index\":";
    out_ += std::to_string(index++);
    if (json.is_object()) {
      Members parts(json);
      while (parts.next()) {
        const std::string_view name = parts.name();
        const std::string_view value = json.skip();
        if (name != "index") member(name, value);
      }
    } else {
      json.skip();
    }
    out_ += "}]";
    end_delta();
  }
}

void Splitter::chat(const Choice& choice) {
  // First the role and all that is not text: texts come in pieces, calls one by one.
  const auto in_pieces = [](const Part& part) {
    return part.value.starts_with('"') && part.name != "role" && part.name != "id";
  };
  const auto is_calls = [](const Part& part) {
    return part.name == "tool_calls" && part.value.starts_with('[');
  };
  begin_delta(choice);
  for (const Part& part : choice.message) {
    if (is_calls(part)) continue;
    member(part.name, in_pieces(part) ? std::string_view("\"\"") : part.value);
  }
  end_delta();
  for (const Part& part : choice.message) {
    if (is_calls(part)) {
      tool_calls(choice, part.value);
    } else if (in_pieces(part)) {
      std::string_view raw = part.value.substr(1, part.value.size() - 2);
      while (!raw.empty()) {
        const std::string_view piece = take_piece(raw);
        begin_delta(choice);
        member(part.name, "\"");
        out_ += piece;
        out_ += '"';
        end_delta();
      }
    }
  }
  begin_delta(choice);
  end_delta(&choice);
}

void Splitter::completion(const Choice& choice) {
  const auto text = [&](std::string_view piece) {
    out_ += ",\"text\":\"";
    out_ += piece;
    out_ += '"';
  };
  std::string_view raw = choice.text;
  while (!raw.empty()) {
    const std::string_view piece = take_piece(raw);
    begin(choice);
    text(piece);
    end(nullptr);
  }
  begin(choice);
  text("");
  end(&choice);
}

std::string Splitter::split() {
  for (const Choice& choice : plain_.choices) {
    if (plain_.chat) {
      chat(choice);
    } else {
      completion(choice);
    }
  }
  if (include_usage_ && plain_.usage.starts_with('{')) {
    head();
    out_ += ",\"choices\":[],\"usage\":";
    out_ += plain_.usage;
    out_ += "}\n\n";
  }
  out_ += kDoneEvent;
  return std::move(out_);
}

}  // namespace

Result<std::string> split(std::string_view text, bool include_usage) {
  Plain plain;
  // An event's data is one line: white space between tokens must not be an end of line.
  std::string line;
  if (text.find_first_of("\r\n") != std::string_view::npos) {
    line = text;
    std::replace_if(
        line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    text = line;
  }
  if (!read_plain(text, plain)) {
    return Error{Kind::broken, Source::engine, false, "the engine's answer has no choices"};
  }
  return Splitter(plain, include_usage).split();
}

}  // namespace penstock::dialect
