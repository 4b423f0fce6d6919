#include "gateway/gen_ai.h"

#include <string>

namespace penstock::gateway {
namespace {

// All names of the conventions, as Prometheus has them.
namespace name {
constexpr const char* kTokens = "gen_ai_client_token_usage";
constexpr const char* kDuration = "gen_ai_server_request_duration_seconds";
constexpr const char* kFirstToken = "gen_ai_server_time_to_first_token_seconds";
constexpr const char* kPerOutputToken = "gen_ai_server_time_per_output_token_seconds";
constexpr const char* kOperation = "gen_ai_operation_name";
constexpr const char* kProvider = "gen_ai_provider_name";
constexpr const char* kModel = "gen_ai_request_model";
constexpr const char* kTokenType = "gen_ai_token_type";
constexpr const char* kError = "error_type";
}  // namespace name

}  // namespace

std::string_view operation_of(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::chat: return "chat";
    case Endpoint::completions: return "text_completion";
    case Endpoint::embeddings: return "embeddings";
    case Endpoint::models:
    case Endpoint::other: break;
  }
  return {};
}

GenAiMetrics::GenAiMetrics(observe::Shard& shard, const Of& of) {
  const auto histogram = [&](const char* of_name, const char* help, std::span<const double> bounds,
                             const char* label = nullptr, const char* value = "") {
    observe::Labels labels = {{"engine", std::string(of.engine)},
                              {name::kOperation, std::string(operation_of(of.endpoint))},
                              {name::kProvider, std::string(of.provider)},
                              {name::kModel, std::string(of.model)}};
    if (label != nullptr) labels.emplace_back(label, value);
    return shard.histogram(of_name, help, bounds, labels);
  };
  constexpr const char* kTokensHelp = "Tokens of one call.";
  input_ = histogram(name::kTokens, kTokensHelp, observe::kTokens, name::kTokenType, "input");
  output_ = histogram(name::kTokens, kTokensHelp, observe::kTokens, name::kTokenType, "output");
  constexpr const char* kDurationHelp = "Time of a call to an engine, to its last byte.";
  duration_ = histogram(name::kDuration, kDurationHelp, observe::kDuration, name::kError, "");
  failed_ = histogram(name::kDuration, kDurationHelp, observe::kDuration, name::kError, "_OTHER");
  first_token_ =
      histogram(name::kFirstToken, "Time until an engine's streamed answer began.", observe::kTtft);
  per_output_token_ = histogram(name::kPerOutputToken,
                                "Time for each output token behind the first.", observe::kTpot);
}

}  // namespace penstock::gateway
