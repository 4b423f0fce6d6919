#include "engine/site.h"

namespace penstock::engine {

Site::Site(const settings::EngineSettings& settings, const http::Url& url) : base_(url.path) {
  fields_ = "host: " + url.authority() + "\r\n";
  if (!settings.api_key.empty() && settings.auth != settings::EngineAuth::none) {
    fields_ += settings.auth == settings::EngineAuth::bearer
                   ? "authorization: Bearer " + settings.api_key + "\r\n"
                   : "api-key: " + settings.api_key + "\r\n";
  }
  for (const settings::NamedValue& header : settings.headers) {
    fields_ += header.name + ": " + header.value + "\r\n";
  }
  for (const settings::NamedValue& parameter : settings.query) {
    if (!query_.empty()) query_ += '&';
    query_ += http::percent_encoded(parameter.name) + "=" + http::percent_encoded(parameter.value);
  }
}

std::string Site::target(std::string_view target) const {
  constexpr std::string_view kOurs = "/v1";
  if (target.starts_with("/v1/") || target.starts_with("/v1?") || target == kOurs) {
    target.remove_prefix(kOurs.size());
  }
  std::string out = base_;
  out += target;
  if (out.empty() || out.front() != '/') out.insert(0, 1, '/');
  return with_query(std::move(out));
}

std::string Site::at_origin(std::string_view path) const { return with_query(std::string(path)); }

std::string Site::with_query(std::string target) const {
  if (query_.empty()) return target;
  target += target.find('?') == target.npos ? '?' : '&';
  return target += query_;
}

}  // namespace penstock::engine
