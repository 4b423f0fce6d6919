// Which format of the metrics an Accept field asks for (RFC 9110 section 12.5.1).
#include <charconv>

#include "observe/metrics.h"

namespace penstock::observe {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

bool same(std::string_view a, std::string_view lower) {
  return std::equal(a.begin(), a.end(), lower.begin(), lower.end(), [](char x, char y) {
    return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
  });
}

// Takes what stands before the separator off the front, trimmed. No value here has a separator in
// quotes.
std::string_view next(std::string_view& rest, char separator) {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return trimmed(part);
}

// How much one format is wanted, by the range that names it most closely.
struct Wish {
  double q = 0;
  int closeness = 0;

  void take(int how_close, double weight) {
    if (how_close > closeness || (how_close == closeness && weight > q)) q = weight;
    closeness = std::max(closeness, how_close);
  }
};

// 0 where it cannot be understood: what was not asked for properly was not asked for.
double weight_of(std::string_view text) {
  double q = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), q);
  return ec == std::errc{} && end == text.data() + text.size() && q >= 0 && q <= 1 ? q : 0;
}

}  // namespace

Format choose_format(std::string_view accept) {
  Wish text, open;
  while (!accept.empty()) {
    std::string_view rest = next(accept, ',');
    const std::string_view range = next(rest, ';');
    double q = 1;
    std::string_view version;
    while (!rest.empty()) {
      std::string_view parameter = next(rest, ';');
      const std::string_view name = next(parameter, '=');
      if (same(name, "q")) q = weight_of(trimmed(parameter));
      if (same(name, "version")) version = trimmed(parameter);
    }
    if (version.size() > 1 && version.front() == '"')
      version = version.substr(1, version.size() - 2);
    if (same(range, "application/openmetrics-text")) {
      // What is written is 1.0.0, which readers of its draft 0.0.1 take.
      if (version.empty() || version == "1.0.0" || version == "0.0.1") open.take(3, q);
    } else if (same(range, "application/*")) {
      open.take(2, q);
    } else if (same(range, "text/plain")) {
      text.take(3, q);
    } else if (same(range, "text/*")) {
      text.take(2, q);
    } else if (range == "*/*") {
      open.take(1, q);
      text.take(1, q);
    }
  }
  return open.q > text.q ? Format::openmetrics : Format::text;
}

}  // namespace penstock::observe
