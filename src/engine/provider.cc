#include "engine/provider.h"

#include <array>
#include <string_view>

#include "http/url.h"

namespace penstock::engine {
namespace {

// Who is asked, where that is known by its host.
std::string provider_of_host(std::string_view host) {
  struct Known {
    std::string_view host, provider;
  };
  constexpr std::array kKnown = {
      Known{"api.openai.com", "openai"},
      Known{"openai.azure.com", "azure.ai.openai"},
      Known{"services.ai.azure.com", "azure.ai.inference"},
      Known{"api.mistral.ai", "mistral_ai"},
      Known{"api.deepseek.com", "deepseek"},
      Known{"api.groq.com", "groq"},
      Known{"api.x.ai", "x_ai"},
      Known{"api.perplexity.ai", "perplexity"},
      Known{"api.cohere.com", "cohere"},
      Known{"generativelanguage.googleapis.com", "gcp.gemini"},
  };
  for (const Known& one : kKnown) {
    if (host.ends_with(one.host)) return std::string(one.provider);
  }
  return "openai";  // whose API it speaks
}

}  // namespace

std::string provider_of(const settings::EngineSettings& engine) {
  switch (engine.kind) {
    case settings::EngineKind::documents: return "penstock.documents";
    case settings::EngineKind::simulated: return "penstock.simulated";
    case settings::EngineKind::openai: break;
  }
  const auto url = http::parse_url(engine.url);
  return url ? provider_of_host(url->host) : "openai";
}

}  // namespace penstock::engine
