// The table as a JSON Schema (draft 2020-12), for editors: what the parser would refuse, and all
// that can be known without the environment.
#include <fmt/format.h>

#include "settings/settings.h"
#include "settings/table.h"
#include "settings/text.h"

namespace penstock::settings {
namespace {

// A value that is put together from the environment can be anything.
constexpr std::string_view kExpansion = R"({"type": "string", "pattern": "\\$\\{"})";

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += ", ";
    text += part;
  }
  return text;
}

std::string keys_of(std::string_view section, std::size_t indent);
std::string object_of(std::string_view section, std::size_t indent);

std::string numeric(const Key& key, std::string_view type) {
  std::string text =
      fmt::format(R"({{"type": "{}", "minimum": {})", type, key.least.empty() ? "0" : key.least);
  if (!key.most.empty()) text += fmt::format(R"(, "maximum": {})", key.most);
  return text + "}";
}

std::string pattern(std::string_view expression) {
  return fmt::format(R"({{"type": "string", "pattern": {}}})", quote(expression));
}

std::string texts_of(const Key& key) {
  if (key.form == Form::name) return pattern("^[A-Za-z0-9._-]{1,64}$");
  if (key.form == Form::model) return pattern(key.required ? "^[!-~]{1,256}$" : "^[!-~]{0,256}$");
  if (key.form == Form::origin) return pattern("^(\\*|[a-z][a-z0-9+.-]*://[^/?#A-Z*]+)$");
  if (key.form == Form::path)
    return pattern(
        "^/(?!$|(status\\.js|livez|readyz|startupz|health)$|(health|admin|debug|pprof)/)"
        "[!-\"$->@-~]*$");
  return R"({"type": "string"})";
}

std::string words_of(const Key& key) {
  std::vector<std::string> words;
  for (const Word& word : key.words) {
    if (word.later.empty()) words.push_back(quote(word.name));
  }
  return fmt::format(R"({{"enum": [{}]}})", join(words));
}

// The single value that the key takes, special words and ${...} aside.
std::string value_schema(const Key& key) {
  switch (key.type) {
    case Type::boolean: return R"({"type": "boolean"})";
    case Type::integer: return numeric(key, "integer");
    case Type::number: return numeric(key, "number");
    case Type::size: return pattern("^([0-9]+(B|KiB|MiB|GiB)|0)$");
    case Type::duration: return pattern("^([0-9]+(us|ms|s|m|h|d)|0)$");
    case Type::ratio: return pattern("^([0-9]+(\\.[0-9]+)?%|0)$");
    case Type::rate: return pattern("^([0-9]+/[smhd]|0)$");
    case Type::url: return pattern(key.required ? "^https?://" : "^(https?://.*)?$");
    case Type::address: return pattern("^(\\[[0-9A-Fa-f:.]+\\]|[0-9.]+|localhost):[0-9]{1,5}$");
    case Type::word: return words_of(key);
    default: return texts_of(key);
  }
}

// A size, time or percentage of zero may be written without a unit, and then it is a number.
bool zero_is_number(Type type) {
  return type == Type::size || type == Type::duration || type == Type::ratio || type == Type::rate;
}

std::string scalar_schema(const Key& key) {
  std::vector<std::string> choices{value_schema(key)};
  if (zero_is_number(key.type)) choices.push_back(R"({"const": 0})");
  if (!key.special.empty()) choices.push_back(fmt::format(R"({{"const": "{}"}})", key.special));
  choices.emplace_back(kExpansion);
  return fmt::format(R"("anyOf": [{}])", join(choices));
}

std::string default_of(const Key& key) {
  if (key.standard.empty() || key.standard == "[]" || key.standard == "{}") {
    return std::string(key.standard);
  }
  const bool bare =
      key.type == Type::boolean || key.type == Type::integer || key.type == Type::number;
  return bare && key.standard != key.special ? std::string(key.standard) : quote(key.standard);
}

std::string property(const Key& key, std::size_t indent) {
  std::vector<std::string> parts;
  std::string help(key.help);
  if (!key.later.empty()) {
    help = fmt::format("Not in this version: {}.{}{}", key.later, help.empty() ? "" : " ", help);
  }
  if (!help.empty()) parts.push_back(fmt::format(R"("description": {})", quote(help)));
  if (!key.later.empty()) {
    parts.push_back(R"("not": {})");
    return fmt::format("{{{}}}", join(parts));
  }
  if (const std::string standard = default_of(key); !standard.empty()) {
    parts.push_back(fmt::format(R"("default": {})", standard));
  }
  switch (key.type) {
    case Type::section:
      if (key.words.empty()) {
        parts.push_back(object_of(key.path, indent));
      } else {
        parts.push_back(fmt::format(R"("anyOf": [{}, {}, {{"type": ["object", "null"]}}])",
                                    words_of(key), kExpansion));
        parts.push_back(keys_of(key.path, indent));
      }
      break;
    case Type::sections:
      parts.push_back(fmt::format(R"("type": ["array", "null"], "items": {{{}}})",
                                  object_of(std::string(key.path) + "[]", indent)));
      break;
    case Type::named:
      parts.push_back(fmt::format(R"("type": ["object", "null"], "additionalProperties": {{{}}})",
                                  object_of(std::string(key.path) + "[]", indent)));
      break;
    case Type::texts:
      parts.push_back(fmt::format(R"("type": ["array", "null"], "items": {{"anyOf": [{}, {}]}})",
                                  texts_of(key), kExpansion));
      break;
    case Type::values:
      parts.push_back(
          R"("type": ["object", "null"], "additionalProperties": {"type": ["string", "number", "boolean"]})");
      break;
    default: parts.push_back(scalar_schema(key));
  }
  return fmt::format("{{{}}}", join(parts));
}

// The keys of a section, where it is a mapping.
std::string keys_of(std::string_view section, std::size_t indent) {
  std::string properties;
  const std::string margin(indent + 2, ' ');
  for (const Key* key : keys_in(section)) {
    properties += fmt::format("{}\n{}{}: {}", properties.empty() ? "" : ",", margin,
                              quote(key->leaf()), property(*key, indent + 2));
  }
  return fmt::format(R"("additionalProperties": false, "properties": {{{}
{}}})",
                     properties, std::string(indent, ' '));
}

std::string object_of(std::string_view section, std::size_t indent) {
  std::vector<std::string> required;
  for (const Key* key : keys_in(section)) {
    if (key->required) required.push_back(quote(key->leaf()));
  }
  // A section of which every line is commented out is nothing, in YAML.
  return fmt::format(R"("type": {}, "required": [{}], {})",
                     required.empty() ? R"(["object", "null"])" : R"("object")", join(required),
                     keys_of(section, indent));
}

}  // namespace

std::string json_schema() {
  return fmt::format(R"({{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Penstock settings",
  {}
}}
)",
                     object_of("", 2));
}

}  // namespace penstock::settings
