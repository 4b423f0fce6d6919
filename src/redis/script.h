// A Lua script that Redis runs as one step. Called by its digest; its text goes over only where
// Redis does not know it (any more).
#pragma once

#include <string>
#include <string_view>

namespace penstock::redis {

class Script {
 public:
  explicit Script(std::string_view text);
  const std::string& text() const { return text_; }
  const std::string& sha() const { return sha_; }  // SHA-1 in hexadecimal digits, as Redis wants it

 private:
  std::string text_;
  std::string sha_;
};

}  // namespace penstock::redis
