// A whole stream put together to the plain answer that it amounts to.
//
// Nothing is unescaped: the contents of two strings, one behind the other, are the content of the
// string that both make, even where a surrogate pair was cut in two. What is not known is kept.
#include <algorithm>
#include <deque>

#include "dialect/json.h"
#include "dialect/outline.h"
#include "dialect/stream.h"

namespace penstock::dialect {
namespace {

constexpr std::size_t kMostNames = 256;  // in one object: they are searched one by one
constexpr std::int64_t kNoIndex = -1;

// A value under way. Scalars are as they were written; names and scalars point into the frames.
struct Node {
  enum class Form : std::uint8_t { scalar, string, object, array };
  struct Named;

  Form form = Form::scalar;
  std::string_view scalar = "null";
  std::string text;               // of a string: its content, still escaped
  std::vector<Named> members;     // of an object
  std::vector<Node> elements;     // of an array
  std::int64_t index = kNoIndex;  // of an element that says it

  bool is_null() const { return form == Form::scalar && scalar == "null"; }
  // Takes another form, without what it held; stays the element that it is.
  void become(Form other);
};
struct Node::Named {
  std::string_view name;
  Node node;
};

void Node::become(Form other) {
  const std::int64_t kept = index;
  *this = Node();
  form = other;
  index = kept;
}

Node* find(Node& object, std::string_view name) {
  for (Node::Named& member : object.members) {
    if (member.name == name) return &member.node;
  }
  return nullptr;
}

Node& get(Node& object, std::string_view name) {
  if (Node* const node = find(object, name)) return *node;
  object.members.push_back({name, {}});
  return object.members.back().node;
}

// Told once and perhaps again, not in pieces.
bool told_whole(std::string_view name) {
  return name == "role" || name == "id" || name == "type" || name == "object" || name == "model" ||
         name == "system_fingerprint" || name == "service_tier" || name == "finish_reason" ||
         name == "stop_reason";
}

class Assembler {
 public:
  bool add(std::string_view chunk);
  std::string write();

 private:
  // How strings that come again are taken.
  enum class Strings : std::uint8_t { joined, replaced };

  void merge(Cursor& json, Node& into, std::string_view name, Strings strings);
  void merge_object(Cursor& json, Node& into, Strings strings);
  void merge_array(Cursor& json, Node& into, Strings strings);
  void merge_element(Cursor& json, Node& array, Strings strings);
  void merge_choices(Cursor& json);
  void merge_choice(Cursor& json, std::int64_t place);

  Node answer_;
  std::vector<Node> choices_;  // objects, each with its index
  std::string_view usage_ = "null";
};

std::int64_t index_of(Cursor object) {  // a copy: only looks ahead
  Members members(object);
  while (members.next()) {
    if (members.name() == "index") {
      const auto index = object.unsigned_integer();
      return index && *index < kMostNames ? static_cast<std::int64_t>(*index) : kNoIndex;
    }
    object.skip();
  }
  return kNoIndex;
}

void Assembler::merge(Cursor& json, Node& into, std::string_view name, Strings strings) {
  switch (json.peek()) {
    case '{': return merge_object(json, into, strings);
    case '[': return merge_array(json, into, strings);
    case '"': {
      const std::string_view raw = json.raw_string();
      if (into.form != Node::Form::string) {
        into.become(Node::Form::string);
      }
      if (into.text.empty()) {
        into.text = raw;
      } else if (told_whole(name)) {
        if (!raw.empty() && name == "finish_reason") into.text = raw;
      } else if (strings == Strings::joined) {
        into.text += raw;
      } else {
        into.text = raw;
      }
      return;
    }
    default: break;
  }
  const std::string_view scalar = json.skip();
  if (scalar.empty() || scalar == "null") return;  // says nothing new
  into.become(Node::Form::scalar);
  into.scalar = scalar;
}

void Assembler::merge_object(Cursor& json, Node& into, Strings strings) {
  if (into.form != Node::Form::object) {
    into.become(Node::Form::object);
  }
  Members members(json);
  while (members.next()) {
    if (into.members.size() >= kMostNames) return json.fail();
    merge(json, get(into, members.name()), members.name(), strings);
  }
}

void Assembler::merge_element(Cursor& json, Node& array, Strings strings) {
  const std::int64_t index = json.is_object() ? index_of(json) : kNoIndex;
  if (index != kNoIndex) {
    for (Node& element : array.elements) {
      if (element.index == index) return merge(json, element, {}, strings);
    }
    if (array.elements.size() >= kMostNames) return json.fail();
  }
  array.elements.emplace_back();
  array.elements.back().index = index;
  merge(json, array.elements.back(), {}, strings);
}

void Assembler::merge_array(Cursor& json, Node& into, Strings strings) {
  if (into.form != Node::Form::array) {
    into.become(Node::Form::array);
  }
  Elements elements(json);
  while (elements.next()) merge_element(json, into, strings);
}

void Assembler::merge_choice(Cursor& json, std::int64_t place) {
  const std::int64_t said = json.is_object() ? index_of(json) : kNoIndex;
  const std::int64_t index = said == kNoIndex ? place : said;
  Node* choice = nullptr;
  for (Node& known : choices_) {
    if (known.index == index) choice = &known;
  }
  if (choice == nullptr) {
    choices_.emplace_back();
    choice = &choices_.back();
    choice->form = Node::Form::object;
    choice->index = index;
  }
  Members members(json);
  while (members.next()) {
    const std::string_view name = members.name();
    if (choice->members.size() >= kMostNames) return json.fail();
    if (name == "delta" || name == "message") {
      merge(json, get(*choice, "message"), name, Strings::joined);
    } else {
      // Beside the text, a choice says things anew rather than on; its arrays go on.
      merge(json, get(*choice, name), name, name == "text" ? Strings::joined : Strings::replaced);
    }
  }
}

void Assembler::merge_choices(Cursor& json) {
  if (!json.is_array()) {
    json.skip();
    return;
  }
  std::int64_t place = 0;
  Elements choices(json);
  while (choices.next()) merge_choice(json, place++);
}

bool Assembler::add(std::string_view chunk) {
  Cursor json(chunk);
  Members members(json);
  while (members.next()) {
    const std::string_view name = members.name();
    if (name == "choices") {
      merge_choices(json);
    } else if (name == "usage") {
      const std::string_view usage = json.skip();
      if (usage != "null") usage_ = usage;
    } else {
      if (answer_.members.size() >= kMostNames) return false;
      merge(json, get(answer_, name), name, Strings::replaced);
    }
  }
  return json.ok();
}

void write_node(std::string& out, const Node& node, bool in_tool_calls = false) {
  switch (node.form) {
    case Node::Form::scalar: out += node.scalar; return;
    case Node::Form::string:
      out += '"';
      out += node.text;
      out += '"';
      return;
    case Node::Form::array: {
      out += '[';
      bool first = true;
      for (const Node& element : node.elements) {
        if (!first) out += ',';
        first = false;
        write_node(out, element, in_tool_calls);
      }
      out += ']';
      return;
    }
    case Node::Form::object: break;
  }
  out += '{';
  bool first = true;
  for (const Node::Named& member : node.members) {
    // A plain answer's tool calls stand in their order and have no index.
    if (in_tool_calls && member.name == "index") continue;
    if (!first) out += ',';
    first = false;
    out += '"';
    out += member.name;
    out += "\":";
    write_node(out, member.node, member.name == "tool_calls");
  }
  out += '}';
}

std::string Assembler::write() {
  const auto by_index = [](const Node& a, const Node& b) { return a.index < b.index; };
  std::sort(choices_.begin(), choices_.end(), by_index);
  for (Node& choice : choices_) {
    Node* const message = find(choice, "message");
    if (message == nullptr) continue;
    if (message->form != Node::Form::object) {
      message->become(Node::Form::object);
    }
    Node& role = get(*message, "role");
    if (role.is_null()) {
      role.become(Node::Form::string);
      role.text = "assistant";
    }
    get(*message, "content");
    if (Node* const calls = find(*message, "tool_calls")) {
      std::sort(calls->elements.begin(), calls->elements.end(), by_index);
    }
  }
  if (Node* const object = find(answer_, "object")) {
    if (object->text == "chat.completion.chunk") object->text = "chat.completion";
  }

  std::string out = "{";
  for (const Node::Named& member : answer_.members) {
    out += '"';
    out += member.name;
    out += "\":";
    write_node(out, member.node);
    out += ',';
  }
  out += "\"choices\":[";
  for (const Node& choice : choices_) {
    if (&choice != &choices_.front()) out += ',';
    write_node(out, choice);
  }
  out += ']';
  if (usage_ != "null") {
    out += ",\"usage\":";
    out += usage_;
  }
  out += '}';
  return out;
}

}  // namespace

Result<std::string> assemble(std::string_view frames) {
  const auto fault = [](std::string_view what) {
    return Error{Kind::broken, Source::engine, false, std::string(what)};
  };
  StreamReader reader;
  const Result<std::string_view> passed = reader.feed(frames);
  if (!passed) return passed.error();
  if (reader.broken()) return reader.fault();
  if (!reader.whole()) return fault("the engine's stream is not whole");

  EventSplitter splitter;
  Assembler assembler;
  std::deque<std::string> joined;  // data of several lines, which the splitter only lends
  splitter.feed(frames);
  while (const auto event = splitter.next()) {
    std::string_view data = event->data;
    if (data == "[DONE]") break;
    if (data.empty()) continue;
    if (data.find('\n') != std::string_view::npos) data = joined.emplace_back(data);
    if (!assembler.add(data)) return fault("an event of the engine's stream has too many parts");
  }
  return assembler.write();
}

}  // namespace penstock::dialect
