// OpenTelemetry's names for generative AI, all of them in one table: they are not stable yet.
// (semantic-conventions-genai.)
#pragma once

#include <string_view>

#include "exchange/exchange.h"

namespace penstock::gen_ai {

// Attributes of spans and of metrics.
inline constexpr const char* kOperation = "gen_ai.operation.name";
inline constexpr const char* kProvider = "gen_ai.provider.name";
inline constexpr const char* kModel = "gen_ai.request.model";
inline constexpr const char* kMaxTokens = "gen_ai.request.max_tokens";
inline constexpr const char* kInput = "gen_ai.usage.input_tokens";
inline constexpr const char* kOutput = "gen_ai.usage.output_tokens";
inline constexpr const char* kInputMessages = "gen_ai.input.messages";
inline constexpr const char* kOutputMessages = "gen_ai.output.messages";
inline constexpr const char* kTokenType = "gen_ai.token.type";
inline constexpr const char* kError = "error.type";

// Metrics; times are in seconds.
inline constexpr const char* kTokenUsage = "gen_ai.client.token.usage";
inline constexpr const char* kDuration = "gen_ai.server.request.duration";
inline constexpr const char* kFirstToken = "gen_ai.server.time_to_first_token";
inline constexpr const char* kPerOutputToken = "gen_ai.server.time_per_output_token";

// gen_ai.operation.name; empty for what is no operation of a model.
constexpr std::string_view operation_of(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::chat: return "chat";
    case Endpoint::completions: return "text_completion";
    case Endpoint::embeddings: return "embeddings";
    case Endpoint::models:
    case Endpoint::other: break;
  }
  return {};
}

}  // namespace penstock::gen_ai
