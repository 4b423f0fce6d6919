#include "settings/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace penstock::settings {
namespace {

unsigned char byte(char c) { return static_cast<unsigned char>(c); }

// The length of the character at the start of `text`, 0 where there is none.
std::size_t utf8_length(std::string_view text) {
  const unsigned lead = byte(text[0]);
  const std::size_t length = lead < 0x80                    ? 1
                             : lead >= 0xc2 && lead <= 0xdf ? 2
                             : (lead & 0xf0) == 0xe0        ? 3
                             : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                            : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(text[i]) & 0xc0) != 0x80) return 0;
  }
  if (length < 3) return length;
  // Overlong forms, surrogates and what lies beyond U+10FFFF differ in the second byte.
  const unsigned second = byte(text[1]);
  if (lead == 0xe0 && second < 0xa0) return 0;
  if (lead == 0xed && second > 0x9f) return 0;
  if (lead == 0xf0 && second < 0x90) return 0;
  if (lead == 0xf4 && second > 0x8f) return 0;
  return length;
}

bool control(char c) { return byte(c) < 0x20 || byte(c) == 0x7f; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

void append_escaped(char c, std::string& out) {
  switch (c) {
    case '\n': out += "\\n"; break;
    case '\r': out += "\\r"; break;
    case '\t': out += "\\t"; break;
    default:
      if (control(c)) {
        out += fmt::format("\\u{:04x}", byte(c));
      } else {
        out += c;
      }
  }
}

std::string cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  while (most > 0 && (byte(text[most]) & 0xc0) == 0x80) --most;
  return std::string(text.substr(0, most)) + "...";
}

// The restricted distance: a swapped pair is not edited again.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const char x = lower(a[i - 1]), y = lower(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (x == y ? 0u : 1u)});
      if (i > 1 && j > 1 && x == lower(b[j - 2]) && lower(a[i - 2]) == y) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::optional<std::size_t> first_bad_byte(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (control(c) && c != '\t' && c != '\n' && c != '\r') return at;
    const std::size_t length = utf8_length(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::nullopt;
}

std::size_t characters(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) {
    at += std::max<std::size_t>(utf8_length(text.substr(at)), 1);
  }
  return count;
}

std::string quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    append_escaped(c, quoted);
  }
  return quoted += '"';
}

std::string shown(std::string_view text) { return quote(cut(text, 60)); }

std::string without_secrets(std::string_view url) {
  std::string text(url);
  // A password that is not percent-encoded may hold a "/", "?" or "#": the last "@" ends it.
  const std::size_t scheme = text.find("://");
  const std::size_t begin = scheme == text.npos ? 0 : scheme + 3;
  if (const std::size_t at = text.rfind('@'); at != text.npos && at >= begin) {
    text.replace(begin, at - begin, "***");
  }
  if (const std::size_t query = text.find_first_of("?#", begin); query != text.npos) {
    text.replace(query + 1, text.npos, "***");
  }
  return text;
}

std::string printable(std::string_view text) {
  std::string escaped;
  for (const char c : cut(text, 200)) append_escaped(c, escaped);
  return escaped;
}

std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> candidates) {
  constexpr std::size_t kLongest = 64;
  if (word.empty() || word.size() > kLongest) return std::nullopt;
  std::optional<std::string_view> best;
  // A third of the word may be wrong, and one letter of the shortest.
  std::size_t bound = std::max<std::size_t>(word.size() / 3, 1) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t d = distance(word, candidate);
    if (d < bound && d < std::max(word.size(), candidate.size())) {
      best = candidate;
      bound = d;
    }
  }
  return best;
}

std::string either(std::span<const std::string_view> words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

}  // namespace penstock::settings
