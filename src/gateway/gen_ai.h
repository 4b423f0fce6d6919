// The engines' histograms once more, under the names of OpenTelemetry's conventions for generative
// AI (exchange/gen_ai.h). Those names still move: there are such series only where
// OTEL_SEMCONV_STABILITY_OPT_IN has gen_ai_latest_experimental.
#pragma once

#include <chrono>
#include <string_view>

#include "base/clock.h"
#include "exchange/exchange.h"
#include "observe/metrics.h"

namespace penstock::gateway {

// Of one engine, model and operation.
class GenAiMetrics {
 public:
  struct Of {
    std::string_view engine;    // as configured: two of one provider are told apart
    std::string_view provider;  // gen_ai.provider.name
    std::string_view model;
    Endpoint endpoint;
  };
  // Where there are none, nothing is counted.
  GenAiMetrics() = default;
  GenAiMetrics(observe::Shard& shard, const Of& of);

  void first_token(Duration after) { first_token_.observe(in_seconds(after)); }
  void per_output_token(double seconds) { per_output_token_.observe(seconds); }
  void used(const Usage& usage) {
    input_.observe(static_cast<double>(usage.input));
    output_.observe(static_cast<double>(usage.output));
  }
  void ended(Duration took, bool well) { (well ? duration_ : failed_).observe(in_seconds(took)); }

 private:
  static double in_seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
  }
  observe::Histogram input_, output_, duration_, failed_, first_token_, per_output_token_;
};

}  // namespace penstock::gateway
