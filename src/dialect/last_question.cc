#include "dialect/last_question.h"

#include "dialect/cursor.h"

namespace penstock::dialect {
namespace {

bool hidden(std::string_view name) { return name.find('\\') != name.npos; }

// Reads one message after the other; what is none of words alone ends it.
class Chat {
 public:
  explicit Chat(std::string_view body) : body_(body), json_(body) {}

  std::optional<LastQuestion> read(std::uint32_t most_turns) {
    Members members(json_);
    while (words_ && members.next()) {
      if (hidden(members.name())) return std::nullopt;
      if (members.name() == "messages") {
        Elements elements(json_);
        while (words_ && elements.next()) message();
      } else {
        json_.skip();
      }
    }
    if (!words_ || !json_.ok() || !of_user_ || turns_ > most_turns || texts_ != 1) {
      return std::nullopt;
    }
    const auto begin = static_cast<std::size_t>(text_.data() - body_.data());
    return LastQuestion{unescaped(text_), {begin - 1, begin + text_.size() + 1}};
  }

 private:
  void message() {
    of_user_ = false;
    texts_ = 0;
    Members members(json_);
    while (words_ && members.next()) {
      const std::string_view name = members.name();
      if (hidden(name)) words_ = false;
      if (name == "role") {
        role();
      } else if (name == "content") {
        content();
      } else if (json_.is_null()) {
        json_.skip();  // as if it were not there
      } else if (name == "name") {
        json_.skip();
      } else {
        words_ = false;  // tool_calls, audio, and what is not known
      }
    }
    turns_ += of_user_ ? 1U : 0U;
  }

  void role() {
    if (!json_.is_string()) {
      words_ = false;
      return;
    }
    const std::string_view role = json_.raw_string();
    of_user_ = role == "user";
    words_ = of_user_ || role == "system" || role == "developer" || role == "assistant";
  }

  void content() {
    if (json_.is_string()) {
      text();
    } else if (json_.is_array()) {
      Elements parts(json_);
      while (words_ && parts.next()) part();
    } else {
      words_ = json_.is_null();
      json_.skip();
    }
  }

  void part() {
    if (!json_.is_object()) {
      words_ = false;
      return;
    }
    bool typed = false;
    Members members(json_);
    while (words_ && members.next()) {
      if (members.name() == "type" && json_.is_string()) {
        typed = json_.raw_string() == "text";
      } else if (members.name() == "text" && json_.is_string()) {
        text();
      } else {
        words_ = false;
      }
    }
    words_ = words_ && typed;
  }

  void text() {
    text_ = json_.raw_string();
    ++texts_;
  }

  const std::string_view body_;
  Cursor json_;
  bool words_ = true;
  // Of the last message.
  bool of_user_ = false;
  std::size_t texts_ = 0;
  std::string_view text_;  // as it is written
  std::uint32_t turns_ = 0;
};

}  // namespace

std::optional<LastQuestion> last_question(std::string_view body, std::uint32_t most_turns) {
  return Chat(body).read(most_turns);
}

}  // namespace penstock::dialect
