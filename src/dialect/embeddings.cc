#include "dialect/embeddings.h"

#include <simdjson.h>

#include "dialect/json.h"

namespace penstock::dialect {

void write_embeddings_question(std::string& out, std::string_view model,
                               std::span<const std::string> texts) {
  JsonWriter json(out);
  json.begin_object().member("model", model).key("input").begin_array();
  for (const std::string& text : texts) json.value(std::string_view(text));
  json.end_array().member("encoding_format", "float").end_object();
}

Result<std::vector<std::vector<float>>> read_embeddings(std::string_view body, std::size_t count,
                                                        std::size_t most) {
  const auto wrong = [](std::string_view what) {
    return Error{Kind::broken, Source::engine, false, std::string(what)};
  };
  simdjson::dom::parser parser;
  simdjson::dom::array data;
  if (parser.parse(body.data(), body.size())["data"].get(data) != simdjson::SUCCESS) {
    return wrong("an answer to embeddings has no data");
  }
  std::vector<std::vector<float>> vectors(count);
  std::size_t place = 0;
  for (const simdjson::dom::element one : data) {
    std::uint64_t index = place++;
    simdjson::dom::element number_of_it;
    // Where it is left out they come in order.
    const bool numbered = one["index"].get(number_of_it) == simdjson::SUCCESS;
    if (numbered && number_of_it.get(index) != simdjson::SUCCESS) index = count;
    simdjson::dom::array numbers;
    if (index >= count || one["embedding"].get(numbers) != simdjson::SUCCESS) {
      return wrong("an answer to embeddings has something else than the vectors asked for");
    }
    std::vector<float>& vector = vectors[index];
    vector.clear();
    for (const simdjson::dom::element number : numbers) {
      double value = 0;
      if (number.get(value) != simdjson::SUCCESS || vector.size() >= most) {
        return wrong("a vector of an answer to embeddings is none, or too long");
      }
      vector.push_back(static_cast<float>(value));
    }
  }
  for (const std::vector<float>& vector : vectors) {
    if (vector.empty() || vector.size() != vectors.front().size()) {
      return wrong("an answer to embeddings lacks a vector");
    }
  }
  return vectors;
}

}  // namespace penstock::dialect
