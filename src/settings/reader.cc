#include "settings/reader.h"

#include <fmt/format.h>

#include "settings/expand.h"
#include "settings/text.h"

namespace penstock::settings {
namespace {

constexpr std::string_view kNoSpace = "the space behind the `:` is missing";

std::string_view before_colon(std::string_view name) { return name.substr(0, name.find(':')); }

std::string_view kind_name(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::nothing: return "has no value";
    case Node::Kind::text: return "is a single value here";
    case Node::Kind::list: return "is a list here";
    case Node::Kind::mapping: return "is a mapping here";
  }
  return "";
}

std::string join(std::string_view section, std::string_view name) {
  return section.empty() ? std::string(name) : fmt::format("{}.{}", section, name);
}

// The key that was probably meant by `name` in `section`: one beside it, else the same or nearly
// the same name elsewhere, which is given with its whole path. None that would be refused itself.
std::string nearest_key(std::string_view section, std::string_view name) {
  std::vector<std::string_view> names;
  for (const Key* key : keys_in(section)) {
    if (key->later.empty()) names.push_back(key->leaf());
  }
  if (const auto beside = nearest(name, names)) return std::string(*beside);
  names.clear();
  for (const Key& key : table()) {
    if (key.later.empty()) names.push_back(key.leaf());
  }
  if (const auto elsewhere = nearest(name, names)) {
    for (const Key& key : table()) {
      if (key.leaf() == *elsewhere && key.later.empty()) return std::string(key.path);
    }
  }
  return {};
}

bool is_single(Type type) {
  return type != Type::section && type != Type::sections && type != Type::named &&
         type != Type::texts && type != Type::values;
}

class Reader {
 public:
  Reader(const Environment& environment, Report& report)
      : environment_(environment), report_(report) {}

  // The keys of `scope` (as the table names it) into `object`; `path` is where it is in the file.
  void section(const Node& node, std::string_view scope, const std::string& path, void* object) {
    for (const Member& member : node.members) {
      // `api_key:sk-x` is a key of that name to YAML, and its end is not to be shown.
      const std::string_view word = before_colon(member.name);
      if (word != member.name && !nearest_key(scope, word).empty()) {
        report_.add(member.at, join(path, word), {std::string(kNoSpace)});
        continue;
      }
      const std::string inner = join(path, member.name);
      const Key* key = find(join(scope, member.name));
      if (key == nullptr || key->leaf() != member.name || key->parent() != scope) {
        report_.add(member.at, inner, {"no such key", "", nearest_key(scope, member.name)});
      } else if (!key->later.empty()) {
        report_.add(member.at, inner, {fmt::format("not in this version: {}", key->later)});
      } else if (member.value.kind != Node::Kind::nothing || is_single(key->type)) {
        report_.place(inner, member.at, member.value.at);
        value(member.value, *key, inner, object);
      }  // else all lines of a section or list are commented out: as if it were not there
    }
    for (const Key* key : keys_in(scope)) {
      if (key->required && !report_.given(join(path, key->leaf()))) {
        report_.add(node.at, path, {fmt::format("`{}` is missing", key->leaf()), expected(*key)});
      }
    }
  }

 private:
  void value(const Node& node, const Key& key, const std::string& path, void* object) {
    switch (key.type) {
      case Type::section:
        if (!key.words.empty() && node.kind == Node::Kind::text) {
          scalar(node, key, path, object);
          break;
        }
        if (is(node, Node::Kind::mapping, key, path)) section(node, key.path, path, object);
        break;
      case Type::sections:
        if (is(node, Node::Kind::list, key, path)) elements(node, key, path, object);
        break;
      case Type::named:
        if (is(node, Node::Kind::mapping, key, path)) named(node, key, path, object);
        break;
      case Type::texts:
        if (!is(node, Node::Kind::list, key, path)) break;
        // In place of the default.
        std::get<std::vector<std::string>*>(key.field(object))->clear();
        for (std::size_t i = 0; i < node.items.size(); ++i) {
          const std::string inner = fmt::format("{}[{}]", path, i);
          report_.place(inner, node.items[i].at, node.items[i].at);
          scalar(node.items[i], key, inner, object);
        }
        break;
      case Type::values:
        if (!is(node, Node::Kind::mapping, key, path)) break;
        for (const Member& member : node.members) {
          // `authorization:Bearer x` is a name without a value, as above.
          const std::string_view word = before_colon(member.name);
          if (word != member.name && member.value.kind == Node::Kind::nothing) {
            report_.add(member.at, join(path, word), {std::string(kNoSpace)});
            continue;
          }
          const std::string inner = join(path, member.name);
          report_.place(inner, member.at, member.value.at);
          auto& values = *std::get<std::vector<NamedValue>*>(key.field(object));
          values.push_back({member.name, {}});
          scalar(member.value, key, inner, object);
        }
        break;
      default: scalar(node, key, path, object);
    }
  }

  void elements(const Node& node, const Key& key, const std::string& path, void* object) {
    const std::string scope = std::string(key.path) + "[]";
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const Node& item = node.items[i];
      const std::string inner = fmt::format("{}[{}]", path, i);
      report_.place(inner, item.at, item.at);
      element(item, scope, inner, key.add(object, {}));
    }
  }

  void named(const Node& node, const Key& key, const std::string& path, void* object) {
    const std::string scope = std::string(key.path) + "[]";
    for (const Member& member : node.members) {
      const std::string inner = join(path, member.name);
      report_.place(inner, member.at, member.value.at);
      if (Result<Value, Fault> name = value_of(name_in(key), member.name); !name) {
        report_.add(member.at, inner, {"this name cannot be", expected(name_in(key))});
        continue;
      }
      element(member.value, scope, inner, key.add(object, member.name));
    }
  }

  // What the names of a mapping are read as.
  static Key name_in(const Key& key) {
    return {.path = key.path, .type = Type::text, .form = key.form, .required = true};
  }

  void element(const Node& node, const std::string& scope, const std::string& path, void* object) {
    if (node.kind == Node::Kind::mapping) {
      section(node, scope, path, object);
    } else {
      report_.add(node.at, path,
                  {std::string(kind_name(node.kind)), "a mapping (`key: value` lines)"});
    }
  }

  bool is(const Node& node, Node::Kind kind, const Key& key, const std::string& path) {
    if (node.kind == kind) return true;
    report_.add(node.at, path, {std::string(kind_name(node.kind)), expected(key)});
    return false;
  }

  void scalar(const Node& node, const Key& key, const std::string& path, void* object) {
    if (node.kind != Node::Kind::text) {
      report_.add(node.at, path, {std::string(kind_name(node.kind)), single(key)});
      return;
    }
    Result<Expanded, Fault> text = expand(node.text, environment_);
    if (!text) {
      report_.add(node.at, path, {text.error().reason});
      return;
    }
    Result<Value, Fault> value = value_of(key, text->text);
    if (value) {
      if (text->from_outside) report_.from_outside(path);
      put(key, object, *std::move(value));
      return;
    }
    Complaint complaint{refusal_of(key, text->text, text->from_outside), single(key)};
    if (!value.error().reason.empty()) complaint.message += ": " + value.error().reason;
    if (!key.words.empty()) complain_of_word(key, *text, complaint);
    report_.add(node.at, path, std::move(complaint));
  }

  static void complain_of_word(const Key& key, const Expanded& text, Complaint& complaint) {
    std::vector<std::string_view> words;
    for (const Word& word : key.words) {
      if (word.later.empty()) {
        words.push_back(word.name);
      } else if (word.name == text.text) {
        complaint = {fmt::format("{} is not in this version: {}", shown(text.text), word.later)};
        return;
      }
    }
    complaint.nearest = nearest(text.text, words).value_or("");
  }

  // What is expected of one text of a list or mapping too.
  static std::string single(const Key& key) {
    if (is_single(key.type) || !key.words.empty()) return expected(key);
    return expected(Key{.path = key.path, .type = Type::text, .form = key.form});
  }

  const Environment& environment_;
  Report& report_;
};

}  // namespace

void read_settings(const Node& document, const Environment& environment, Settings& settings,
                   Report& report) {
  if (document.kind == Node::Kind::mapping) {
    Reader(environment, report).section(document, "", "", &settings);
  } else if (document.kind != Node::Kind::nothing) {
    report.add(
        document.at, "",
        {fmt::format("the file {}", kind_name(document.kind)), "a mapping (`key: value` lines)"});
  }
}

}  // namespace penstock::settings
