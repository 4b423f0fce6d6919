#include "settings/document.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <unordered_map>
#include <utility>

#include "settings/lines.h"
#include "settings/text.h"

namespace penstock::settings {
namespace {

// Far beyond any real file; aliases count as often as they are used, so that a small file cannot
// unfold into a large one.
constexpr std::size_t kMostNodes = 100'000;
constexpr std::size_t kMostText = 4 * kLargestFile;
constexpr std::size_t kDeepest = 32;

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

struct Refused {};  // thrown and caught in this file: the tree is given up

// Makes the tree out of the library's events. (Not out of its nodes: those have no places of
// aliases, and `LoadAll` goes on for ever over some texts that are no YAML.)
class Builder final : public YAML::EventHandler {
 public:
  Builder(Lines& lines, Report& report) : lines_(lines), report_(report) {}

  Position position(const YAML::Mark& mark) {
    if (mark.line < 0 || mark.column < 0) return {1, 1};
    return lines_.of_byte_in_line(static_cast<std::size_t>(mark.line),
                                  static_cast<std::size_t>(mark.column));
  }

  Node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (std::exchange(begun_, true)) {
      refuse(position(mark), "", "a second YAML document; there is one");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    finish(make(mark, "", Node::Kind::nothing), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node = make(mark, tag, Node::Kind::text);
    node.text = value;
    finish(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) refuse(position(mark), path(), "an alias stands within itself");
    count_all(found->second, position(mark));
    Node node = found->second;
    node.at = position(mark);
    finish(std::move(node), 0);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(make(mark, tag, Node::Kind::list), anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(make(mark, tag, Node::Kind::mapping), anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  // A list or mapping that is not closed yet.
  struct Open {
    Node node;
    YAML::anchor_t anchor;
    std::string path;
    bool has_key = false;  // the next node is a value
    bool keep = false;     // the key was good
    std::string key;
    Position key_at;
    std::unordered_map<std::string, std::size_t> lines;  // of the keys
  };

  // NOLINTNEXTLINE(performance-unnecessary-value-param): moved, but clang does not see it here
  [[noreturn]] void refuse(Position at, std::string path, std::string message) {
    report_.add(at, std::move(path), {std::move(message)});
    throw Refused{};
  }

  // Of the node that comes next.
  std::string path() const {
    if (stack_.empty()) return {};
    const Open& top = stack_.back();
    if (top.node.kind == Node::Kind::list) {
      return fmt::format("{}[{}]", top.path, top.node.items.size());
    }
    if (!top.has_key) return top.path;
    return top.path.empty() ? top.key : fmt::format("{}.{}", top.path, top.key);
  }

  Node make(const YAML::Mark& mark, const std::string& tag, Node::Kind kind) {
    Node node;
    node.kind = kind;
    node.at = position(mark);
    // Plain and quoted texts have these.
    if (!tag.empty() && tag != "?" && tag != "!") {
      // The tag is not shown: a password that begins with "!" is one, without quotes.
      refuse(node.at, path(),
             "has a YAML tag: tags are not used here; a text that begins with ! needs quotes");
    }
    return node;
  }

  void open(Node node, YAML::anchor_t anchor) {
    count(node);
    std::string own = path();
    if (stack_.size() == kDeepest) {
      refuse(node.at, std::move(own), fmt::format("is nested over {} deep", kDeepest));
    }
    stack_.push_back({std::move(node), anchor, std::move(own), false, false, {}, {}, {}});
  }

  void close() {
    Open done = std::move(stack_.back());
    stack_.pop_back();
    finish(std::move(done.node), done.anchor);
  }

  void finish(Node node, YAML::anchor_t anchor) {
    if (node.kind == Node::Kind::text || node.kind == Node::Kind::nothing) count(node);
    if (anchor != 0) anchors_.insert_or_assign(anchor, node);
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& top = stack_.back();
    if (top.node.kind == Node::Kind::list) {
      top.node.items.push_back(std::move(node));
    } else if (!top.has_key) {
      take_key(top, std::move(node));
    } else {
      top.has_key = false;
      // The library puts an empty value where the next one begins.
      if (node.kind == Node::Kind::nothing) node.at = top.key_at;
      if (top.keep) top.node.members.push_back({std::move(top.key), top.key_at, std::move(node)});
    }
  }

  void take_key(Open& top, Node node) {
    const std::string around = path();
    top.has_key = true;
    top.keep = false;
    top.key_at = node.at;
    top.key = std::move(node.text);
    if (node.kind != Node::Kind::text) {
      report_.add(node.at, around, {"has a key that is no text"});
    } else if (top.key == "<<") {
      report_.add(node.at, around,
                  {"merge keys (<<) are not understood; an alias stands for a whole value"});
    } else if (const auto [first, is_new] = top.lines.emplace(top.key, node.at.line); !is_new) {
      report_.add(node.at, path(), {fmt::format("stands twice; first in line {}", first->second)});
    } else {
      top.keep = true;
    }
  }

  void count(const Node& node) {
    text_ += node.text.size();
    if (++nodes_ > kMostNodes || text_ > kMostText) {
      refuse(node.at, "", "there are too many values; an alias counts as often as it is used");
    }
  }

  void count_all(const Node& node, Position at) {
    Node counted;
    counted.at = at;
    count(counted);
    text_ += node.text.size();
    for (const Node& item : node.items) count_all(item, at);
    for (const Member& member : node.members) {
      text_ += member.name.size();
      count_all(member.value, at);
    }
  }

  Lines& lines_;
  Report& report_;
  bool begun_ = false;
  Node root_;
  std::vector<Open> stack_;
  std::unordered_map<YAML::anchor_t, Node> anchors_;
  std::size_t nodes_ = 0;
  std::size_t text_ = 0;
};

// The library's words say what its grammar met; these say what the writer may have done.
std::string explain(const YAML::Exception& error) {
  const std::string& what = error.msg;
  if (what == "bad file") return "nested too deeply";
  if (what == "illegal map value") {
    return "a `:` where no value can begin; look at the indentation, and quote texts with `: `";
  }
  if (what == "end of map flow not found" || what == "end of sequence flow not found") {
    return "a { or [ that is not closed, or a text in it that needs quotes, such as \"${NAME}\"";
  }
  if (what == "unknown token") return "a character that no text can begin with; quote it";
  return "no YAML: " + what;
}

void complain(const YAML::Exception& error, Position at, const Lines& lines, Report& report) {
  const std::string_view line = lines.line(at.line - 1);
  const std::size_t tab = line.find('\t');
  if (tab < line.find_first_not_of(" \t")) {
    report.add({at.line, tab + 1}, "", {"indented by a tab; YAML takes spaces"});
  } else {
    report.add(at, "", {explain(error)});
  }
}

}  // namespace

std::optional<Node> read_document(std::string_view yaml, Report& report) {
  if (yaml.size() > kLargestFile) {
    report.add({1, 1}, "", {fmt::format("the file is larger than {}", "1MiB")});
    return std::nullopt;
  }
  if (yaml.starts_with(kByteOrderMark)) yaml.remove_prefix(kByteOrderMark.size());
  Lines lines(yaml);
  if (const auto bad = first_bad_byte(yaml)) {
    report.add(lines.of_byte(*bad), "",
               {fmt::format("the byte 0x{:02x} is no UTF-8 text",
                            static_cast<unsigned char>(yaml[*bad]))});
    return std::nullopt;
  }
  Builder builder(lines, report);
  try {
    std::istringstream in{std::string(yaml)};
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.take();
  } catch (const YAML::Exception& error) {
    complain(error, builder.position(error.mark), lines, report);
  } catch (const Refused&) {
  }
  return std::nullopt;
}

}  // namespace penstock::settings
