#include "complexity/reading.h"

#include <algorithm>

#include "dialect/cursor.h"

namespace penstock::complexity {
namespace {

class Reader {
 public:
  Reader(std::string_view body, Reading& reading) : json_(body), reading_(reading) {}

  bool read(std::string_view field) {
    if (!json_.is_object()) return false;
    dialect::Members members(json_);
    while (members.next()) {
      const std::string_view name = members.name();
      if (name == field) {
        field == "messages" ? messages() : prompt();
      } else if (name == "tools" || name == "functions") {
        tools();
      } else {
        json_.skip();
      }
    }
    return json_.ok() && reading_.last_parts > 0;
  }

 private:
  // One message, or a prompt.
  struct Message {
    std::array<std::string_view, Reading::kParts> parts;
    std::size_t count = 0;
    std::size_t bytes = 0;
    bool other = false;  // it has a part that is no text: a picture, a file
  };

  void messages() {
    if (!json_.is_array()) {
      json_.skip();
      return;
    }
    dialect::Elements elements(json_);
    while (elements.next()) {
      json_.is_object() ? message() : static_cast<void>(json_.skip());
    }
  }

  void message() {
    Message message;
    std::string_view role;
    dialect::Members members(json_);
    while (members.next()) {
      if (members.name() == "role" && json_.is_string()) {
        role = json_.raw_string();
      } else if (members.name() == "content") {
        content(message);
      } else {
        json_.skip();
      }
    }
    if (role == "user") {
      ask(message);
    } else if (role == "system" || role == "developer") {
      if (reading_.system.empty() && message.count > 0) reading_.system = message.parts[0];
    }
  }

  void ask(const Message& message) {
    if (message.count == 0 && !message.other) return;
    reading_.last = message.parts;
    reading_.last_parts = std::max<std::size_t>(message.count, 1);
    reading_.last_bytes = message.bytes;
    ++reading_.turns;
  }

  void content(Message& message) {
    if (json_.is_string()) {
      text(message);
    } else if (json_.is_array()) {
      dialect::Elements parts(json_);
      while (parts.next()) json_.is_object() ? part(message) : static_cast<void>(json_.skip());
    } else {
      json_.skip();
    }
  }

  void part(Message& message) {
    bool is_text = false;
    dialect::Members members(json_);
    while (members.next()) {
      if (members.name() == "text" && json_.is_string()) {
        text(message);
        is_text = true;
      } else {
        json_.skip();
      }
    }
    if (!is_text) message.other = true;
  }

  void text(Message& message) {
    const std::string_view text = json_.raw_string();
    if (text.empty()) return;
    message.bytes += text.size();
    if (message.count < Reading::kParts) message.parts[message.count++] = text;
  }

  // A text, or several: the first of them are looked at. Tokens say nothing.
  void prompt() {
    Message message;
    if (json_.is_string()) {
      text(message);
    } else if (json_.is_array()) {
      dialect::Elements elements(json_);
      while (elements.next()) {
        json_.is_string() ? text(message) : static_cast<void>(json_.skip());
      }
    } else {
      json_.skip();
    }
    if (message.count > 0) ask(message);
  }

  void tools() {
    if (!json_.is_array()) {
      json_.skip();
      return;
    }
    dialect::Elements elements(json_);
    while (elements.next()) {
      json_.skip();
      ++reading_.tools;
    }
  }

  dialect::Cursor json_;
  Reading& reading_;
};

}  // namespace

bool read(Endpoint endpoint, std::string_view body, Reading& reading) {
  if (endpoint == Endpoint::chat) return Reader(body, reading).read("messages");
  if (endpoint == Endpoint::completions) return Reader(body, reading).read("prompt");
  return false;
}

}  // namespace penstock::complexity
