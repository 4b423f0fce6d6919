// The fields of a request that the gateway reads, and what it says against a wrong one.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "dialect/canonical.h"
#include "dialect/scalar.h"
#include "dialect/tokens.h"
#include "exchange/refusals.h"

namespace penstock::dialect {

enum class Field : std::uint8_t {
  unknown,
  model,
  messages,
  prompt,
  input,
  stream,
  stream_options,
  temperature,
  seed,
  n,
  max_tokens,
  max_completion_tokens,
  tools,
  functions,
  store,
  previous_response_id,
  user,
  metadata,
};

// Of a top-level member that `endpoint` has and the gateway reads.
Field field_of(std::string_view name, Endpoint endpoint);
// Not a part of what is asked: left out of the canonical form.
bool left_out(Field field);

enum class Shape : std::uint8_t { null, boolean, number, string, array, object };

// One value as it was met.
struct Seen {
  Shape shape = Shape::null;
  std::string_view text;  // of a string its content, unescaped; of true and numbers as written
  Decimal number;         // of a number
};

// What the fields of one request have come to.
struct Parameters {
  bool lenient = false;    // what only passes through: see take()
  std::string_view user;   // as model
  std::string_view model;  // may be within the scratch: copied at the end
  bool has_model = false;
  bool has_subject = false;  // messages, prompt or input
  bool stream = false;
  bool stream_options = false;  // an object, not null
  bool include_usage = false;
  bool temperature_zero = false;
  bool seed = false;
  bool tools = false;
  bool stored = false;
  std::optional<std::uint32_t> max_tokens;
  std::optional<std::uint32_t> max_completion_tokens;
  std::optional<Refusal> refusal;  // the first thing to say against it
};

// Takes a scalar field's value, or of any field the fact that it is null or of the wrong shape.
// Leniently: a value that the gateway cannot use is as good as none.
void take(Parameters& parameters, Field field, const Seen& seen);

// What is still to say at the end of the object; fills `question`.
std::optional<Refusal> finish(Parameters& parameters, Question& question);

// ---- how it is said ----------------------------------------------------------------------------

Refusal not_json(std::string message);
Refusal not_json(const Defect& defect);
Refusal named_twice(const Member& member);
Refusal invalid_type(std::string param, std::string_view expected, const Seen& seen);
Refusal missing_parameter(std::string param);
Refusal empty_array(std::string param);

}  // namespace penstock::dialect
