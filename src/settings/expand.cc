#include "settings/expand.h"

#include <fmt/format.h>

#include "settings/files.h"
#include "settings/text.h"

namespace penstock::settings {
namespace {

constexpr std::size_t kLargestSecret = 64u << 10;

bool valid_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name) {
    const bool good =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!good) return false;
  }
  return true;
}

Result<std::string, Fault> from_file(const std::string& path) {
  FileText file = read_file(path, kLargestSecret);
  if (!file.error.empty()) return Fault{fmt::format("{}: {}", shown(path), file.error)};
  if (file.text.ends_with('\n')) file.text.pop_back();
  if (file.text.ends_with('\r')) file.text.pop_back();
  if (first_bad_byte(file.text)) return Fault{fmt::format("{}: is no UTF-8 text", shown(path))};
  return std::move(file.text);
}

Result<std::string, Fault> lookup(std::string_view inside, const Environment& environment) {
  if (inside.starts_with("file:")) return from_file(std::string(inside.substr(5)));
  const std::size_t dash = inside.find(":-");
  const std::string name(inside.substr(0, dash));
  if (!valid_name(name)) {
    // What stands in it is not shown: it may be a secret, or a default that is one.
    return Fault{"a ${...} in it is no ${NAME}, ${NAME:-default} or ${file:/path}"};
  }
  std::optional<std::string> value = environment(name);
  if (dash != inside.npos && (!value || value->empty()))
    return std::string(inside.substr(dash + 2));
  if (!value) return Fault{fmt::format("the environment variable {} is not set", name)};
  if (first_bad_byte(*value)) {
    return Fault{fmt::format("the environment variable {} is no UTF-8 text", name)};
  }
  return *std::move(value);
}

}  // namespace

Result<Expanded, Fault> expand(std::string_view text, const Environment& environment) {
  Expanded expanded;
  while (!text.empty()) {
    const std::size_t dollar = std::min(text.find('$'), text.size());
    expanded.text += text.substr(0, dollar);
    text.remove_prefix(dollar);
    if (text.starts_with("$${")) {
      expanded.text += "${";
      text.remove_prefix(3);
    } else if (text.starts_with("${")) {
      const std::size_t close = text.find('}');
      if (close == text.npos) return Fault{"the } of a ${ is missing"};
      Result<std::string, Fault> value = lookup(text.substr(2, close - 2), environment);
      if (!value) return std::move(value).error();
      expanded.text += *value;
      expanded.from_outside = true;
      text.remove_prefix(close + 1);
    } else if (!text.empty()) {
      expanded.text += text.front();
      text.remove_prefix(1);
    }
  }
  return expanded;
}

}  // namespace penstock::settings
