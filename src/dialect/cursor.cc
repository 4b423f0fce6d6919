#include "dialect/cursor.h"

#include "dialect/scalar.h"

namespace penstock::dialect {

void Cursor::skip_string() {
  ++at_;
  for (;;) {
    at_ = skip_plain<false>(at_, end_);
    if (at_ == end_) return fail();
    if (*at_ == '"') break;
    if (*at_ != '\\' || end_ - at_ < 2) return fail();
    at_ += 2;
  }
  ++at_;
}

void Cursor::skip_number() {
  if (*at_ == '-') ++at_;
  const auto digits = [&] {
    const char* const from = at_;
    while (at_ < end_ && is_digit(*at_)) ++at_;
    return at_ > from;
  };
  if (at_ < end_ && *at_ == '0') {
    ++at_;
  } else if (!digits()) {
    return fail();
  }
  if (at_ < end_ && *at_ == '.') {
    ++at_;
    if (!digits()) return fail();
  }
  if (at_ < end_ && (*at_ == 'e' || *at_ == 'E')) {
    ++at_;
    if (at_ < end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    if (!digits()) return fail();
  }
}

void Cursor::skip_word(std::string_view word) {
  if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(word)) return fail();
  at_ += word.size();
}

void Cursor::skip_value(int depth) {
  switch (peek()) {
    case '"': return skip_string();
    case '{': {
      if (depth == kMostDepth) return fail();
      Members members(*this);
      while (members.next()) skip_value(depth + 1);
      return;
    }
    case '[': {
      if (depth == kMostDepth) return fail();
      Elements elements(*this);
      while (elements.next()) skip_value(depth + 1);
      return;
    }
    case 't': return skip_word("true");
    case 'f': return skip_word("false");
    case 'n': return skip_word("null");
    case '-': return skip_number();
    default: break;
  }
  if (ok() && at_ < end_ && is_digit(*at_)) return skip_number();
  fail();
}

std::optional<std::uint64_t> Cursor::unsigned_integer() {
  const std::string_view text = skip();
  if (text.empty() || !(text[0] == '-' || is_digit(text[0]))) return std::nullopt;
  const ParsedNumber number = parse_number(text.data(), text.data() + text.size());
  std::uint64_t value = 0;
  if (!to_unsigned(number.value, value)) return std::nullopt;
  return value;
}

std::optional<std::string> Cursor::string() {
  if (!is_string()) {
    skip();
    return std::nullopt;
  }
  return unescaped(raw_string());
}

std::string unescaped(std::string_view raw) {
  if (raw.empty()) return {};  // behind a fault it has no place at all
  std::string text(raw.size(), '\0');
  const char* at = raw.data();
  const char* const end = at + raw.size();
  char* out = text.data();
  for (;;) {
    const Unescaped done = unescape(at, end, out);
    out = done.end;
    if (done.bad == nullptr) break;
    at = done.bad;
    if (end - at >= 6 && at[1] == 'u') {  // six bytes as written, three as U+FFFD
      for (const char c : std::string_view("\xef\xbf\xbd")) *out++ = c;
      at += 6;
    } else {
      *out++ = *at++;
    }
  }
  text.resize(static_cast<std::size_t>(out - text.data()));
  return text;
}

bool stands_for(std::string_view raw, std::string_view text) {
  if (raw.find('\\') == std::string_view::npos) return raw == text;
  return unescaped(raw) == text;
}

}  // namespace penstock::dialect
