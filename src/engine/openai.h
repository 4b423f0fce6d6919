// An engine that speaks OpenAI's API over HTTP: vLLM, SGLang, llama.cpp, Ollama, a vendor.
//
// The body goes on as it came; only the model's name and, where the gateway wants the usage of a
// stream, its stream_options are put in their places while it is sent.
#pragma once

#include <memory>
#include <string>

#include "engine/engine.h"
#include "engine/site.h"
#include "http/client.h"
#include "settings/settings.h"

namespace penstock::engine {

class OpenAiEngine final : public Engine {
 public:
  // `connections`: this loop's share. REQUIRES: the settings are of kind openai; tls is set where
  // the URL is https.
  OpenAiEngine(const settings::EngineSettings& settings, http::Url url,
               std::shared_ptr<net::TlsClient> tls, std::size_t connections, Loop& loop,
               http::PoolMetrics metrics);

  const std::string& name() const override { return settings_.name; }
  Task<Result<Answer>> call(const Call& call, Deadline& deadline) override;
  Task<Result<std::vector<Model>>> models(Deadline& deadline) override;

 private:
  // Sends the question and reads the answer's head, by `first_by`.
  Task<Result<http::ClientAnswer>> ask(const Call& call, Time first_by, Deadline& deadline);
  Error named(Error error) const;
  std::string head_for(const Call& call, std::size_t length) const;

  const settings::EngineSettings settings_;
  const Site site_;
  http::Pool pool_;
};

}  // namespace penstock::engine
