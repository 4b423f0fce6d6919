#include "settings/document.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <unordered_map>

#include "settings/text.h"

namespace penstock::settings {
namespace {

// Far beyond any real file; aliases count as often as they are used, so that a small file cannot
// unfold into a large one.
constexpr std::size_t kMostNodes = 100'000;
constexpr std::size_t kMostText = 4 * kLargestFile;
constexpr std::size_t kDeepest = 32;

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// Where a byte stands, as an editor shows it.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {
    for (std::size_t at = text.find('\n'); at != text.npos; at = text.find('\n', at + 1)) {
      starts_.push_back(at + 1);
    }
  }

  std::string_view line(std::size_t index) const {
    if (index >= starts_.size()) return {};
    const std::size_t end = index + 1 < starts_.size() ? starts_[index + 1] - 1 : text_.size();
    return text_.substr(starts_[index], end - starts_[index]);
  }

  Position of_byte(std::size_t at) const {
    const auto next = std::upper_bound(starts_.begin(), starts_.end(), at);
    const auto index = static_cast<std::size_t>(next - starts_.begin()) - 1;
    return {index + 1, characters(text_.substr(starts_[index], at - starts_[index])) + 1};
  }

  // The library counts from 0, and bytes.
  Position of_mark(const YAML::Mark& mark) const {
    if (mark.line < 0 || mark.column < 0) return {1, 1};
    const auto index = static_cast<std::size_t>(mark.line);
    const std::string_view before = line(index).substr(0, static_cast<std::size_t>(mark.column));
    return {index + 1, characters(before) + 1};
  }

 private:
  std::string_view text_;
  std::vector<std::size_t> starts_{0};
};

struct Refused {};  // thrown and caught in this file: the tree is given up

class Builder {
 public:
  Builder(const Lines& lines, Report& report) : lines_(lines), report_(report) {}

  Node build(const YAML::Node& from, const std::string& path, std::size_t depth) {
    Node node;
    node.at = lines_.of_mark(from.Mark());
    count(node.at, path, depth);
    if (const std::string& tag = from.Tag(); !tag.empty() && tag != "?" && tag != "!") {
      report_.add(node.at, path,
                  {fmt::format("has a YAML tag, {}: tags are not used here", shown(tag))});
      throw Refused{};
    }
    switch (from.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null: break;
      case YAML::NodeType::Scalar:
        node.kind = Node::Kind::text;
        node.text = from.Scalar();
        text_ += node.text.size();
        break;
      case YAML::NodeType::Sequence:
        node.kind = Node::Kind::list;
        for (const YAML::Node& item : from) {
          node.items.push_back(
              build(item, fmt::format("{}[{}]", path, node.items.size()), depth + 1));
        }
        break;
      case YAML::NodeType::Map: build_members(node, from, path, depth); break;
    }
    return node;
  }

 private:
  void build_members(Node& node, const YAML::Node& from, const std::string& path,
                     std::size_t depth) {
    node.kind = Node::Kind::mapping;
    std::unordered_map<std::string, std::size_t> seen;
    for (const auto& member : from) {
      const Position at = lines_.of_mark(member.first.Mark());
      if (!member.first.IsScalar()) {
        report_.add(at, path, {"has a key that is no text"});
        continue;
      }
      const std::string& name = member.first.Scalar();
      if (name == "<<") {
        report_.add(at, path,
                    {"merge keys (<<) are not understood; an alias stands for a whole "
                     "value"});
        continue;
      }
      const std::string inner = path.empty() ? name : path + "." + name;
      if (const auto [first, is_new] = seen.emplace(name, at.line); !is_new) {
        report_.add(at, inner, {fmt::format("stands twice; first in line {}", first->second)});
        continue;
      }
      Node value = build(member.second, inner, depth + 1);
      // The library puts an empty value where the next one begins.
      if (value.kind == Node::Kind::nothing) value.at = at;
      node.members.push_back({name, at, std::move(value)});
    }
  }

  void count(Position at, const std::string& path, std::size_t depth) {
    if (depth > kDeepest) {
      report_.add(at, path, {fmt::format("is nested over {} deep", kDeepest)});
      throw Refused{};
    }
    if (++nodes_ > kMostNodes || text_ > kMostText) {
      report_.add(at, "", {"there are too many values; an alias counts as often as it is used"});
      throw Refused{};
    }
  }

  const Lines& lines_;
  Report& report_;
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

void complain(const YAML::Exception& error, const Lines& lines, Report& report) {
  Position at = lines.of_mark(error.mark);
  const std::string_view line = lines.line(at.line - 1);
  const std::size_t tab = line.find('\t');
  if (tab < line.find_first_not_of(" \t")) {
    at.column = tab + 1;
    report.add(at, "", {"indented by a tab; YAML takes spaces"});
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
  const Lines lines(yaml);
  if (const auto bad = first_bad_byte(yaml)) {
    report.add(lines.of_byte(*bad), "",
               {fmt::format("the byte 0x{:02x} is no UTF-8 text",
                            static_cast<unsigned char>(yaml[*bad]))});
    return std::nullopt;
  }
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(yaml));
    if (documents.size() > 1) {
      report.add(lines.of_mark(documents[1].Mark()), "", {"a second YAML document; there is one"});
      return std::nullopt;
    }
    Builder builder(lines, report);
    if (documents.empty()) return Node{};
    return builder.build(documents.front(), "", 0);
  } catch (const YAML::Exception& error) {
    complain(error, lines, report);
  } catch (const Refused&) {
  }
  return std::nullopt;
}

}  // namespace penstock::settings
