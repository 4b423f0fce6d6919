#include "dialect/parameters.h"

#include <algorithm>
#include <array>
#include <limits>

#include "dialect/question.h"

namespace penstock::dialect {
namespace {

constexpr std::size_t kShown = 32;      // bytes of a value repeated in a message
constexpr std::size_t kShownName = 64;  // of a name

std::string shown(std::string_view text) {
  return text.size() <= kShown ? std::string(text) : std::string(text.substr(0, kShown)) + "...";
}

std::string_view kind_of(const Seen& seen) {
  switch (seen.shape) {
    case Shape::null: return "null";
    case Shape::boolean: return "a boolean";
    case Shape::number: return seen.number.is_integer() ? "an integer" : "a decimal";
    case Shape::string: return "a string";
    case Shape::array: return "an array";
    case Shape::object: break;
  }
  return "an object";
}

Refusal below_minimum(std::string_view param, const Seen& seen, std::string_view least) {
  return refusal(Reason::integer_below_min_value,
                 "Invalid '" + std::string(param) +
                     "': integer below minimum value. Expected a value >= " + std::string(least) +
                     ", but got " + shown(seen.text) + " instead.",
                 std::string(param));
}

Refusal above_maximum(std::string_view param, const Seen& seen, std::string_view most) {
  return refusal(Reason::integer_above_max_value,
                 "Invalid '" + std::string(param) +
                     "': integer above maximum value. Expected a value <= " + std::string(most) +
                     ", but got " + shown(seen.text) + " instead.",
                 std::string(param));
}

std::string_view name_of(Field field) {
  switch (field) {
    case Field::model: return "model";
    case Field::messages: return "messages";
    case Field::prompt: return "prompt";
    case Field::input: return "input";
    case Field::stream: return "stream";
    case Field::stream_options: return "stream_options";
    case Field::temperature: return "temperature";
    case Field::seed: return "seed";
    case Field::n: return "n";
    case Field::max_tokens: return "max_tokens";
    case Field::max_completion_tokens: return "max_completion_tokens";
    case Field::tools: return "tools";
    case Field::functions: return "functions";
    case Field::store: return "store";
    case Field::previous_response_id: return "previous_response_id";
    case Field::user: return "user";
    case Field::metadata: return "metadata";
    case Field::unknown: break;
  }
  return "";
}

std::string_view expected_of(Field field) {
  switch (field) {
    case Field::model:
    case Field::previous_response_id: return "a string";
    case Field::messages: return "an array of objects";
    case Field::prompt:
    case Field::input: return "a string or an array";
    case Field::stream:
    case Field::store: return "a boolean";
    case Field::stream_options: return "an object";
    case Field::temperature: return "a decimal";
    case Field::seed:
    case Field::n:
    case Field::max_tokens:
    case Field::max_completion_tokens: return "an integer";
    case Field::tools:
    case Field::functions: return "an array";
    case Field::user:
    case Field::metadata:
    case Field::unknown: break;
  }
  return "another type";
}

bool fits(Field field, const Seen& seen) {
  switch (field) {
    case Field::model:
    case Field::previous_response_id: return seen.shape == Shape::string;
    case Field::messages:
    case Field::tools:
    case Field::functions: return seen.shape == Shape::array;
    case Field::prompt:
    case Field::input: return seen.shape == Shape::string || seen.shape == Shape::array;
    case Field::stream:
    case Field::store: return seen.shape == Shape::boolean;
    case Field::stream_options: return seen.shape == Shape::object;
    case Field::temperature: return seen.shape == Shape::number;
    case Field::seed:
    case Field::n:
    case Field::max_tokens:
    case Field::max_completion_tokens:
      return seen.shape == Shape::number && seen.number.is_integer();
    case Field::user:
    case Field::metadata:
    case Field::unknown: break;
  }
  return true;
}

std::optional<Refusal> check_model(std::string_view model) {
  if (model.empty()) {
    return refusal(Reason::empty_string,
                   "Invalid 'model': empty string. Expected the name of a model.", "model");
  }
  if (model.size() > kMostModelBytes) {
    return refusal(Reason::string_above_max_length,
                   "Invalid 'model': string too long. Expected a string with maximum length " +
                       std::to_string(kMostModelBytes) + ", but got a string with length " +
                       std::to_string(model.size()) + " instead.",
                   "model");
  }
  bool control = false;
  for (const char c : model) {
    const auto byte = static_cast<unsigned char>(c);
    control |= (byte < 0x20) | (byte == 0x7f);
  }
  if (control) {
    return refusal(Reason::invalid_value, "Invalid 'model': it has a control character in it.",
                   "model");
  }
  return std::nullopt;
}

// A stream's choices are watched in so many bits (outline.h).
void take_n(Parameters& parameters, const Seen& seen) {
  std::uint64_t count = 0;
  if (seen.number.negative || seen.number.is_zero()) {
    parameters.refusal = below_minimum("n", seen, "1");
  } else if (!to_unsigned(seen.number, count) || count > 128) {
    parameters.refusal = above_maximum("n", seen, "128");
  }
}

// Which numbers have a meaning is the engine's to say: to some -1 is no limit, to others 0 is a
// question about the prompt alone.
void take_limit(std::optional<std::uint32_t>& limit, const Decimal& number) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
  std::uint64_t count = 0;
  if (number.is_zero()) {
    limit = 0;
  } else if (!number.negative) {
    limit = static_cast<std::uint32_t>(to_unsigned(number, count) ? std::min(count, kMost) : kMost);
  }
}

// Of what only passes through the gateway takes the model, where there is one that it can use. The
// rest is between the client and the engine.
void take_leniently(Parameters& parameters, Field field, const Seen& seen) {
  if (field == Field::stream)
    parameters.stream = seen.text == "true" && seen.shape == Shape::boolean;
  if (field != Field::model || seen.shape != Shape::string || seen.text.empty()) return;
  parameters.model = seen.text;
  parameters.has_model = true;
  parameters.refusal = check_model(seen.text);
}

}  // namespace

Refusal not_json(std::string message) { return refusal(Reason::invalid_json, std::move(message)); }

Refusal not_json(const Defect& defect) {
  return not_json("The body is not valid JSON: " + std::string(defect.what) + ", at byte " +
                  std::to_string(defect.at) + ".");
}

Refusal named_twice(const Member& member) {
  const auto continues = [&](std::size_t at) {
    return (static_cast<unsigned char>(member.name[at]) & 0xc0) == 0x80;
  };
  std::size_t length = std::min<std::size_t>(member.length, kShownName);
  while (length > 0 && length < member.length && continues(length)) --length;
  return refusal(Reason::duplicate_member,
                 "The body is ambiguous: an object names its member '" +
                     std::string(member.name, length) + (length < member.length ? "...'" : "'") +
                     " twice, again at byte " + std::to_string(member.at) + ".");
}

Refusal invalid_type(std::string param, std::string_view expected, const Seen& seen) {
  std::string message = "Invalid type for '" + param + "': expected ";
  message += expected;
  message += ", but got ";
  message += kind_of(seen);
  message += " instead.";
  return refusal(Reason::invalid_type, std::move(message), std::move(param));
}

Refusal missing_parameter(std::string param) {
  std::string message = "Missing required parameter: '" + param + "'.";
  return refusal(Reason::missing_required_parameter, std::move(message), std::move(param));
}

Refusal empty_array(std::string param) {
  std::string message = "Invalid '" + param +
                        "': empty array. Expected an array with minimum length 1, but got an "
                        "empty array instead.";
  return refusal(Reason::empty_array, std::move(message), std::move(param));
}

Field field_of(std::string_view name, Endpoint endpoint) {
  const bool chat = endpoint == Endpoint::chat;
  const bool text = chat || endpoint == Endpoint::completions;
  if (endpoint == Endpoint::other) {
    return name == "model" ? Field::model : name == "stream" ? Field::stream : Field::unknown;
  }
  const auto is = [&](std::string_view known, Field field, bool applies = true) {
    return applies && name == known ? field : Field::unknown;
  };
  switch (name.size()) {
    case 1: return is("n", Field::n, text);
    case 4: return name[0] == 's' ? is("seed", Field::seed, text) : is("user", Field::user);
    case 5:
      switch (name[0]) {
        case 'm': return is("model", Field::model);
        case 'i': return is("input", Field::input, endpoint == Endpoint::embeddings);
        case 't': return is("tools", Field::tools, chat);
        default: return is("store", Field::store);
      }
    case 6:
      return name[0] == 's' ? is("stream", Field::stream, text)
                            : is("prompt", Field::prompt, endpoint == Endpoint::completions);
    case 8:
      return name[2] == 's' ? is("messages", Field::messages, chat)
                            : is("metadata", Field::metadata);
    case 9: return is("functions", Field::functions, chat);
    case 10: return is("max_tokens", Field::max_tokens, text);
    case 11: return is("temperature", Field::temperature, text);
    case 14: return is("stream_options", Field::stream_options, text);
    case 20: return is("previous_response_id", Field::previous_response_id);
    case 21: return is("max_completion_tokens", Field::max_completion_tokens, chat);
    default: return Field::unknown;
  }
}

bool left_out(Field field) {
  return field == Field::model || field == Field::stream || field == Field::stream_options ||
         field == Field::user || field == Field::metadata;
}

void take(Parameters& parameters, Field field, const Seen& seen) {
  if (parameters.refusal) return;
  // OpenAI takes null for absent, but where the parameter is required.
  if (seen.shape == Shape::null) return;
  if (parameters.lenient) {
    take_leniently(parameters, field, seen);
    return;
  }
  if (!fits(field, seen)) {
    parameters.refusal = invalid_type(std::string(name_of(field)), expected_of(field), seen);
    return;
  }
  const bool truth = seen.shape == Shape::boolean && seen.text == "true";
  switch (field) {
    case Field::model:
      parameters.model = seen.text;
      parameters.has_model = true;
      parameters.refusal = check_model(seen.text);
      return;
    case Field::messages:
    case Field::prompt: parameters.has_subject = true; return;
    case Field::input:
      parameters.has_subject = true;
      if (seen.shape == Shape::string && seen.text.empty()) {
        parameters.refusal = refusal(Reason::empty_string,
                                     "Invalid 'input': empty string. Expected some text.", "input");
      }
      return;
    case Field::stream: parameters.stream = truth; return;
    case Field::stream_options: parameters.stream_options = true; return;
    case Field::temperature: parameters.temperature_zero = seen.number.is_zero(); return;
    case Field::seed: parameters.seed = true; return;
    case Field::n: take_n(parameters, seen); return;
    case Field::max_tokens: take_limit(parameters.max_tokens, seen.number); return;
    case Field::max_completion_tokens:
      take_limit(parameters.max_completion_tokens, seen.number);
      return;
    case Field::store: parameters.stored |= truth; return;
    case Field::previous_response_id: parameters.stored = true; return;
    case Field::user:
      if (seen.shape == Shape::string) parameters.user = seen.text;
      return;
    case Field::tools:
    case Field::functions:
    case Field::metadata:
    case Field::unknown: return;
  }
}

std::optional<Refusal> finish(Parameters& parameters, Question& question) {
  const Endpoint endpoint = question.endpoint;
  if (parameters.refusal) return std::move(parameters.refusal);
  if (!parameters.has_model && endpoint != Endpoint::other) return missing_parameter("model");
  if (!parameters.has_subject) {
    switch (endpoint) {
      case Endpoint::chat: return missing_parameter("messages");
      case Endpoint::completions: return missing_parameter("prompt");
      case Endpoint::embeddings: return missing_parameter("input");
      case Endpoint::models:
      case Endpoint::other: break;
    }
  }
  if (parameters.stream_options && !parameters.stream) {
    return refusal(Reason::invalid_value,
                   "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                   "stream_options");
  }
  question.model = parameters.model;
  question.user = parameters.user;
  question.stream = parameters.stream;
  question.include_usage = parameters.include_usage;
  question.repeatable =
      endpoint == Endpoint::embeddings || parameters.temperature_zero || parameters.seed;
  question.tools = parameters.tools;
  question.stored = parameters.stored;
  question.max_tokens =
      parameters.max_completion_tokens ? parameters.max_completion_tokens : parameters.max_tokens;
  return std::nullopt;
}

}  // namespace penstock::dialect
