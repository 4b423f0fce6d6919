#include "engine/simulated_embeddings.h"

#include <simdjson.h>

#include <array>
#include <cmath>
#include <cstring>
#include <span>

#include "dialect/json.h"

namespace penstock::engine {
namespace {

constexpr std::uint64_t kMostDimensions = 4096;
constexpr float kWord = 1;
constexpr float kShortWord = 0.5F;  // of up to three letters: the, is, of
constexpr float kTrigram = 0.4F;

// FNV-1a with a last mixing (splitmix64): the lowest bits alone choose the place.
std::uint64_t hash_of(std::string_view kind, std::string_view text, std::uint64_t seed) {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ seed;
  for (const std::string_view part : {kind, text}) {
    for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
  return hash ^ (hash >> 31);
}

bool of_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

// The words in lower case; bytes beyond ASCII are letters.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for (const char c : text) {
    const bool part = of_word(c);
    if (part && !inside) words.emplace_back();
    if (part) words.back() += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    inside = part;
  }
  return words;
}

// RFC 4648, with padding.
std::string base64(std::span<const float> values) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes(values.size_bytes(), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());  // little-endian, as all have it
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      text += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

// As the client sent them: texts unescaped, lists of tokens as they stand.
std::vector<std::string> inputs_of(const simdjson::dom::element& body) {
  std::vector<std::string> inputs;
  const auto add = [&](const simdjson::dom::element& one) {
    std::string_view text;
    if (one.get(text) == simdjson::SUCCESS) {
      inputs.emplace_back(text);
    } else {
      inputs.push_back(simdjson::minify(one));
    }
  };
  simdjson::dom::array list;
  simdjson::dom::element input;
  if (body["input"].get(input) != simdjson::SUCCESS) return inputs;
  const bool several = input.get(list) == simdjson::SUCCESS && list.size() > 0 &&
                       (list.at(0).is_string() || list.at(0).is_array());
  if (several) {
    for (const auto one : list) add(one);
  } else {
    add(input);
  }
  return inputs;
}

}  // namespace

std::vector<float> simulated_embedding(std::string_view text, std::size_t dimensions,
                                       std::uint64_t seed) {
  std::vector<float> vector(dimensions);
  const auto count = [&](std::string_view kind, std::string_view feature, float weight) {
    const std::uint64_t hash = hash_of(kind, feature, seed);
    vector[hash % dimensions] += hash >> 63 != 0 ? weight : -weight;
  };
  for (const std::string& word : words_of(text)) {
    count("w", word, word.size() > 3 ? kWord : kShortWord);
    const std::string padded = ' ' + word + ' ';
    for (std::size_t i = 0; i + 3 <= padded.size(); ++i) {
      count("t", std::string_view(padded).substr(i, 3), kTrigram);
    }
  }
  double square = 0;
  for (const float value : vector) square += static_cast<double>(value) * value;
  if (square < 1e-9) {  // no words, or they took each other away
    count("a", text, 1);
    square = 0;
    for (const float value : vector) square += static_cast<double>(value) * value;
  }
  const double length = std::sqrt(square);
  for (float& value : vector) value = static_cast<float>(value / length);
  return vector;
}

std::optional<std::string> simulated_embeddings(const Question& question, std::uint64_t seed) {
  simdjson::dom::parser parser;
  simdjson::dom::element body;
  if (parser.parse(question.body.data(), question.body.size()).get(body) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  std::uint64_t dimensions = kSimulatedDimensions;
  if (body["dimensions"].get(dimensions) != simdjson::SUCCESS || dimensions == 0 ||
      dimensions > kMostDimensions) {
    dimensions = kSimulatedDimensions;
  }
  std::string_view encoding;
  const bool packed = body["encoding_format"].get(encoding) == simdjson::SUCCESS &&
                      encoding == "base64";  // what OpenAI's SDKs ask for unasked
  const std::vector<std::string> inputs = inputs_of(body);
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object().member("object", "list").key("data").begin_array();
  std::uint64_t tokens = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    tokens += inputs[i].size() / 4 + 1;  // about four characters each
    const std::vector<float> vector = simulated_embedding(inputs[i], dimensions, seed);
    json.begin_object().member("object", "embedding").member("index", i).key("embedding");
    if (packed) {
      json.value(std::string_view(base64(vector)));
    } else {
      json.begin_array();
      for (const float value : vector) json.value(static_cast<double>(value));
      json.end_array();
    }
    json.end_object();
  }
  json.end_array().member("model", question.model).key("usage").begin_object();
  json.member("prompt_tokens", tokens).member("total_tokens", tokens).end_object().end_object();
  return out;
}

}  // namespace penstock::engine
