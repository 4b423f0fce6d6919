#include "gateway/gen_ai.h"

#include <algorithm>
#include <string>

#include "exchange/gen_ai.h"

namespace penstock::gateway {
namespace {

constexpr std::string_view kSeconds = "_seconds";

// As Prometheus has it: no dots, and the unit behind it.
std::string shown(std::string_view name, std::string_view unit = {}) {
  std::string made(name);
  std::replace(made.begin(), made.end(), '.', '_');
  return made += unit;
}

}  // namespace

GenAiMetrics::GenAiMetrics(observe::Shard& shard, const Of& of) {
  const auto histogram = [&](const std::string& name, const char* help,
                             std::span<const double> bounds, const char* label = nullptr,
                             const char* value = "") {
    observe::Labels labels = {
        {"engine", std::string(of.engine)},
        {shown(gen_ai::kOperation), std::string(gen_ai::operation_of(of.endpoint))},
        {shown(gen_ai::kProvider), std::string(of.provider)},
        {shown(gen_ai::kModel), std::string(of.model)}};
    if (label != nullptr) labels.emplace_back(shown(label), value);
    return shard.histogram(name, help, bounds, labels);
  };
  const std::string tokens = shown(gen_ai::kTokenUsage);
  constexpr const char* kTokensHelp = "Tokens of one call.";
  input_ = histogram(tokens, kTokensHelp, observe::kTokens, gen_ai::kTokenType, "input");
  output_ = histogram(tokens, kTokensHelp, observe::kTokens, gen_ai::kTokenType, "output");
  const std::string duration = shown(gen_ai::kDuration, kSeconds);
  constexpr const char* kDurationHelp = "Time of a call to an engine, to its last byte.";
  duration_ = histogram(duration, kDurationHelp, observe::kDuration, gen_ai::kError, "");
  failed_ = histogram(duration, kDurationHelp, observe::kDuration, gen_ai::kError, "_OTHER");
  first_token_ = histogram(shown(gen_ai::kFirstToken, kSeconds),
                           "Time until an engine's streamed answer began.", observe::kTtft);
  per_output_token_ = histogram(shown(gen_ai::kPerOutputToken, kSeconds),
                                "Time for each output token behind the first.", observe::kTpot);
}

}  // namespace penstock::gateway
