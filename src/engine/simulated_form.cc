#include "engine/simulated_form.h"

#include <simdjson.h>

#include <algorithm>

#include "dialect/json.h"

namespace penstock::engine {
namespace {

using dialect::JsonWriter;
using simdjson::SUCCESS;
using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::string_view kCallId = "call_simulated";
constexpr std::size_t kPiece = 8;  // bytes
constexpr int kOptionalDepth = 4;  // below it only what is required
constexpr int kMostDepth = 24;     // a schema may contain itself
constexpr std::int64_t kMostItems = 16;
constexpr std::int64_t kMostText = 1000;

// The text there, or nothing.
std::string_view text_of(simdjson::simdjson_result<element> at) {
  std::string_view text;
  return at.get(text) == SUCCESS ? text : std::string_view();
}

// Values of one schema (JSON Schema, as far as OpenAI's structured outputs take it).
class Sampler {
 public:
  Sampler(element schema, Random& random, std::string& out)
      : root_(schema), random_(random), json_(out) {}

  void write(element schema, int depth) {
    element part;
    std::string_view reference;
    array choices;
    if (depth > kMostDepth) {
      json_.null();
    } else if (schema["const"].get(part) == SUCCESS) {
      json_.raw(simdjson::minify(part));
    } else if (schema["enum"].get(choices) == SUCCESS && choices.size() > 0) {
      json_.raw(simdjson::minify(choices.at(random_.next() % choices.size()).value()));
    } else if (schema["$ref"].get(reference) == SUCCESS && reference.starts_with('#') &&
               root_.at_pointer(reference.substr(1)).get(part) == SUCCESS) {
      write(part, depth + 1);
    } else if (alternatives(schema, choices)) {
      // Deep down the last one, which is where null stands.
      write(choices.at(depth > kOptionalDepth ? choices.size() - 1 : 0).value(), depth + 1);
    } else {
      write_type(schema, type_of(schema), depth);
    }
  }

 private:
  static bool alternatives(element schema, array& choices) {
    for (const char* const name : {"anyOf", "oneOf", "allOf"}) {
      if (schema[name].get(choices) == SUCCESS && choices.size() > 0) return true;
    }
    return false;
  }

  static std::string_view type_of(element schema) {
    std::string_view type;
    array types;
    if (schema["type"].get(type) == SUCCESS) return type;
    if (schema["type"].get(types) == SUCCESS && types.at(0).get(type) == SUCCESS) return type;
    return schema["properties"].error() == SUCCESS ? "object" : "string";
  }

  static std::int64_t bound(element schema, const char* name, std::int64_t otherwise) {
    double value = 0;
    if (schema[name].get(value) != SUCCESS) return otherwise;
    return static_cast<std::int64_t>(std::clamp(value, -1e15, 1e15));
  }

  void write_type(element schema, std::string_view type, int depth) {
    if (type == "object") {
      write_object(schema, depth);
    } else if (type == "array") {
      element items;
      const std::int64_t least = bound(schema, "minItems", depth > kOptionalDepth ? 0 : 1);
      const std::int64_t count = std::clamp<std::int64_t>(
          least, 0, std::min(kMostItems, bound(schema, "maxItems", kMostItems)));
      json_.begin_array();
      if (schema["items"].get(items) == SUCCESS) {
        for (std::int64_t i = 0; i < count; ++i) write(items, depth + 1);
      }
      json_.end_array();
    } else if (type == "integer" || type == "number") {
      const std::int64_t least = bound(schema, "minimum", 0);
      const std::int64_t most = bound(schema, "maximum", least + 99);
      const auto range = static_cast<std::uint64_t>(std::max<std::int64_t>(0, most - least)) + 1;
      json_.value(least + static_cast<std::int64_t>(random_.next() % range));
    } else if (type == "boolean") {
      json_.value(random_.next() % 2 == 0);
    } else if (type == "null") {
      json_.null();
    } else {
      std::string text = "simulated";
      const std::int64_t least = std::min(kMostText, bound(schema, "minLength", 0));
      while (static_cast<std::int64_t>(text.size()) < least) text += '.';
      const std::int64_t most = bound(schema, "maxLength", kMostText);
      text.resize(std::min(text.size(), static_cast<std::size_t>(std::max<std::int64_t>(0, most))));
      json_.value(std::string_view(text));
    }
  }

  void write_object(element schema, int depth) {
    object properties;
    json_.begin_object();
    if (schema["properties"].get(properties) == SUCCESS) {
      for (const auto& property : properties) {
        if (depth > kOptionalDepth && !required(schema, property.key)) continue;
        json_.key(property.key);
        write(property.value, depth + 1);
      }
    }
    json_.end_object();
  }

  static bool required(element schema, std::string_view name) {
    array names;
    if (schema["required"].get(names) != SUCCESS) return false;
    return std::any_of(names.begin(), names.end(), [&](element one) {
      std::string_view text;
      return one.get(text) == SUCCESS && text == name;
    });
  }

  const element root_;
  Random& random_;
  JsonWriter json_;
};

std::string sample(element schema, Random& random) {
  std::string text;
  Sampler(schema, random, text).write(schema, 0);
  return text;
}

// The function that is to be called, if one is.
std::optional<element> function_wanted(element body) {
  array tools;
  if (body["tools"].get(tools) != SUCCESS || tools.size() == 0) return std::nullopt;
  const std::string_view choice = text_of(body["tool_choice"]);
  const std::string_view named = text_of(body["tool_choice"]["function"]["name"]);
  if (choice == "none") return std::nullopt;
  array messages;
  if (choice != "required" && named.empty() && body["messages"].get(messages) == SUCCESS &&
      messages.size() > 0 && text_of(messages.at(messages.size() - 1)["role"]) == "tool") {
    return std::nullopt;
  }
  for (const element tool : tools) {
    std::string_view name;
    element function;
    if (tool["function"].get(function) != SUCCESS || function["name"].get(name) != SUCCESS)
      continue;
    if (named.empty() || name == named) return function;
  }
  return std::nullopt;
}

void begin(JsonWriter& json, const dialect::Made& made, std::string_view kind) {
  json.begin_object().member("id", made.id).member("object", kind);
  json.member("created", made.created).member("model", made.model);
  json.key("choices").begin_array().begin_object().member("index", 0);
}

}  // namespace

std::optional<SimulatedForm> form_wanted(std::string_view body, Random& random) {
  simdjson::dom::parser parser;
  element asked;
  if (parser.parse(body.data(), body.size()).get(asked) != SUCCESS) return std::nullopt;
  SimulatedForm form;
  element schema;
  if (const auto function = function_wanted(asked)) {
    form.tool = text_of((*function)["name"]);
    form.json = (*function)["parameters"].get(schema) == SUCCESS ? sample(schema, random) : "{}";
    return form;
  }
  const std::string_view type = text_of(asked["response_format"]["type"]);
  if (type == "json_object") {
    form.json = R"({"answer":"simulated"})";
    return form;
  }
  if (type != "json_schema" ||
      asked["response_format"]["json_schema"]["schema"].get(schema) != SUCCESS) {
    return std::nullopt;
  }
  form.json = sample(schema, random);
  return form;
}

std::vector<std::string_view> pieces_of(std::string_view text) {
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    std::size_t end = std::min(kPiece, text.size());
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) ++end;
    pieces.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return pieces;
}

void write_call(std::string& out, const dialect::Made& made, const SimulatedForm& form,
                const Usage& usage) {
  JsonWriter json(out);
  begin(json, made, "chat.completion");
  json.key("message").begin_object().member("role", "assistant").member_null("content");
  json.member_null("refusal").key("tool_calls").begin_array().begin_object();
  json.member("id", kCallId).member("type", "function").key("function").begin_object();
  json.member("name", std::string_view(form.tool)).member("arguments", std::string_view(form.json));
  json.end_object().end_object().end_array().end_object();
  json.member_null("logprobs").member("finish_reason", "tool_calls").end_object().end_array();
  json.key("usage");
  dialect::write_usage(out, usage);
  json.end_object();
}

void write_call_event(std::string& out, const dialect::Made& made, std::string_view tool,
                      std::string_view arguments, bool first, bool usage_null) {
  out += "data: ";
  JsonWriter json(out);
  begin(json, made, "chat.completion.chunk");
  json.key("delta").begin_object();
  if (first) json.member("role", "assistant").member_null("content");
  json.key("tool_calls").begin_array().begin_object().member("index", 0);
  if (first) json.member("id", kCallId).member("type", "function");
  json.key("function").begin_object();
  if (first) json.member("name", tool);
  json.member("arguments", arguments).end_object().end_object().end_array().end_object();
  json.member_null("logprobs").member_null("finish_reason").end_object().end_array();
  if (usage_null) json.member_null("usage");
  json.end_object();
  out += "\n\n";
}

}  // namespace penstock::engine
