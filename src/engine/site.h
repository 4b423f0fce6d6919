// Where an OpenAI-compatible engine is, and what every request to it carries.
#pragma once

#include <string>
#include <string_view>

#include "http/url.h"
#include "settings/settings.h"

namespace penstock::engine {

class Site {
 public:
  // REQUIRES: the settings are of kind openai, and `url` is theirs.
  Site(const settings::EngineSettings& settings, const http::Url& url);

  // Header lines: host, credentials, configured headers.
  const std::string& fields() const { return fields_; }
  // "/v1/chat/completions?a=b" under ".../openai/v1" is
  // ".../openai/v1/chat/completions?a=b&<query>".
  std::string target(std::string_view target) const;
  // The path as it is, from the origin on, with the configured query.
  std::string at_origin(std::string_view path) const;

 private:
  std::string with_query(std::string target) const;

  std::string base_;  // the path of its URL
  std::string fields_;
  std::string query_;  // encoded
};

}  // namespace penstock::engine
