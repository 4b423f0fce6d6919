// What was asked and answered, as OpenTelemetry's conventions for generative AI have messages:
//
//   [{"role":"user","parts":[{"type":"text","content":"Hello?"}]}]
//
// Text, tool calls and their results, and reasoning are told as what they are; any other part as
// the client wrote it. (semantic-conventions-genai, gen-ai-input-messages.json and -output-.)
#pragma once

#include <string>
#include <string_view>

#include "exchange/exchange.h"

namespace penstock::dialect {

// Of a request's body; empty where it has none, or is no JSON.
std::string input_messages(std::string_view body, Endpoint endpoint);
// Of a plain answer's body with status 200; likewise.
std::string output_messages(std::string_view body, Endpoint endpoint);

}  // namespace penstock::dialect
