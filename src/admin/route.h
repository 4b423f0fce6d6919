// One operation of the admin listener, in the words that the OpenAPI document tells it with.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace penstock::admin {

struct Route {
  std::string_view method;
  std::string_view path;  // a segment in braces is any one segment
  std::string_view summary;
  std::string_view answers;       // what a success says
  std::string_view media;         // its types, with a space between
  std::string_view schema;        // its name in openapi.cc
  bool open = false;              // served without the token: health, metrics, the page
  std::string_view failure = {};  // a status of its own, and what it says
  std::string_view failure_says = {};
  std::string_view success = "200";
  std::string_view query = {};  // its parameters, with a space between
  std::string_view body = {};   // the schema of the request's body
  bool records = false;         // asks the database: 400, 404, 409 (of a change) and 503 besides

  // Whether this is its path; `segment` gets what stands for the braces.
  bool at(std::string_view asked, std::string_view& segment) const {
    segment = {};
    const std::size_t open_brace = path.find('{');
    if (open_brace == path.npos) return asked == path;
    const std::string_view behind = path.substr(path.find('}') + 1);
    if (asked.size() <= open_brace + behind.size() ||
        !asked.starts_with(path.substr(0, open_brace)) || !asked.ends_with(behind)) {
      return false;
    }
    segment = asked.substr(open_brace, asked.size() - open_brace - behind.size());
    return segment.find('/') == segment.npos;
  }
  bool takes(std::string_view asked_method) const {
    return asked_method == method || (method == "GET" && asked_method == "HEAD");
  }
};

}  // namespace penstock::admin
