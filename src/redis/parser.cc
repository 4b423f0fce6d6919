#include "redis/parser.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace penstock::redis {
namespace {

constexpr std::size_t kReserve = 64;  // elements, however many are announced

bool all_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool read_integer(std::string_view text, std::int64_t& value) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (!all_digits(text)) return false;
  }
  const char* const end = text.data() + text.size();
  const auto [stop, ec] = std::from_chars(text.data(), end, value);
  return ec == std::errc{} && stop == end;
}

bool read_size(std::string_view text, std::size_t& value) {
  if (!all_digits(text)) return false;
  const char* const end = text.data() + text.size();
  return std::from_chars(text.data(), end, value).ec == std::errc{};
}

// "1", "-1.5e+3", "inf", "-inf", "nan".
bool read_real(std::string_view text, double& value) {
  const bool special = text == "inf" || text == "-inf" || text == "nan" || text == "-nan";
  if (!special && text.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return false;
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.starts_with('+')) return false;
  const char* const end = text.data() + text.size();
  const auto [stop, ec] = std::from_chars(text.data(), end, value);
  return ec == std::errc{} && stop == end;
}

bool is_big(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return all_digits(text);
}

Value text_value(Type type, std::string_view text) {
  Value value;
  value.type = type;
  value.text = text;
  return value;
}

}  // namespace

bool Parser::fail(std::string_view why) {
  why_ = why;
  bad_ = true;
  return false;
}

Parser::Step Parser::next(std::string_view in) {
  const std::size_t size = in.size();
  while (!bad_) {
    if (done_) {
      done_ = false;
      elements_ = bytes_ = 0;
      return {State::value, size - in.size()};
    }
    if (in_bulk_) {
      if (!take_bulk(in)) break;
      if (in_bulk_) return {State::more, size};
      continue;
    }
    std::string_view line;
    switch (take_line(in, line)) {
      case Line::more: return {State::more, size};
      case Line::bad: break;
      case Line::whole:
        read_header(line);
        line_.clear();
        break;
    }
  }
  return {State::bad, size - in.size()};
}

// A line up to its CR LF; a part of one is kept. Nothing else in it may be CR or LF.
Parser::Line Parser::take_line(std::string_view& in, std::string_view& line) {
  if (line_.ends_with('\r')) {
    if (in.empty()) return Line::more;
    if (in.front() != '\n') return fail("a CR without its LF"), Line::bad;
    in.remove_prefix(1);
    line_.pop_back();
    line = line_;
    return Line::whole;
  }
  const std::size_t end = std::min(in.find('\r'), in.size());
  if (in.substr(0, end).find('\n') != std::string_view::npos) {
    return fail("a LF without its CR"), Line::bad;
  }
  if (line_.size() + end > kLine) return fail("a line is too long"), Line::bad;
  if (end + 1 >= in.size()) {  // without its LF at least
    line_ += in;
    in = {};
    return Line::more;
  }
  if (in[end + 1] != '\n') return fail("a CR without its LF"), Line::bad;
  if (line_.empty()) {
    line = in.substr(0, end);
  } else {
    line_ += in.substr(0, end);
    line = line_;
  }
  in.remove_prefix(end + 2);
  return Line::whole;
}

bool Parser::read_header(std::string_view line) {
  if (line.empty()) return fail("an empty line");
  const char tag = line.front();
  line.remove_prefix(1);
  if (std::string_view("$!=*~%>|").find(tag) != std::string_view::npos && line == "?") {
    return fail("a streamed type");
  }
  Value value;
  switch (tag) {
    case '+':
    case '-':
      bytes_ += line.size();
      if (bytes_ > bounds_.bytes) return fail("a value has too many bytes");
      finish(text_value(tag == '+' ? Type::text : Type::error, line));
      return true;
    case ':':
      value.type = Type::integer;
      if (!read_integer(line, value.integer)) return fail("a number that is none");
      break;
    case ',':
      value.type = Type::real;
      if (!read_real(line, value.real)) return fail("a double that is none");
      break;
    case '#':
      value.type = Type::boolean;
      value.truth = line == "t";
      if (!value.truth && line != "f") return fail("a boolean that is none");
      break;
    case '(':
      if (!is_big(line)) return fail("a big number that is none");
      bytes_ += line.size();
      if (bytes_ > bounds_.bytes) return fail("a value has too many bytes");
      value = text_value(Type::big, line);
      break;
    case '_':
      if (!line.empty()) return fail("a null with something in it");
      break;
    case '$':
    case '*':
      if (line == "-1") break;  // RESP2's null
      return tag == '$' ? open_bulk(Type::text, line, false) : open(Type::array, line, 1, false);
    case '!': return open_bulk(Type::error, line, false);
    case '=': return open_bulk(Type::text, line, true);
    case '~': return open(Type::set, line, 1, false);
    case '%': return open(Type::map, line, 2, false);
    case '|': return open(Type::map, line, 2, true);
    case '>':
      if (!stack_.empty()) return fail("a push inside a value");
      if (line == "0") return fail("a push without a kind");
      return open(Type::push, line, 1, false);
    default: return fail("a type that there is not");
  }
  finish(std::move(value));
  return true;
}

bool Parser::open(Type type, std::string_view count, std::size_t each, bool attribute) {
  std::size_t left = 0;
  if (!read_size(count, left)) return fail("a number of elements that is none");
  // The aggregate counts too: without end and without elements they would cost nothing.
  if (left > bounds_.elements || left * each + 1 > bounds_.elements - elements_) {
    return fail("a value has too many elements");
  }
  left *= each;
  elements_ += left + 1;
  if (stack_.size() >= bounds_.depth) return fail("a value is too deep");
  Value value;
  value.type = type;
  if (left == 0) {
    if (!attribute) finish(std::move(value));
    return true;
  }
  if (!attribute) value.items.reserve(std::min(left, kReserve));
  stack_.push_back({std::move(value), left, attribute});
  return true;
}

bool Parser::open_bulk(Type type, std::string_view size, bool verbatim) {
  std::size_t left = 0;
  if (!read_size(size, left)) return fail("a length that is none");
  if (left > bounds_.bytes - bytes_) return fail("a value has too many bytes");
  if (verbatim && left < 4) return fail("a verbatim text without its format");
  bytes_ += left;
  bulk_ = Value();
  bulk_.type = type;
  in_bulk_ = true;
  verbatim_ = verbatim;
  bulk_left_ = left + 2;
  return true;
}

bool Parser::take_bulk(std::string_view& in) {
  if (bulk_left_ > 2) {
    const std::string_view piece = in.substr(0, bulk_left_ - 2);
    bulk_.text += piece;
    bulk_left_ -= piece.size();
    in.remove_prefix(piece.size());
  }
  while (bulk_left_ <= 2 && bulk_left_ > 0 && !in.empty()) {
    if (in.front() != (bulk_left_ == 2 ? '\r' : '\n')) return fail("a text without its CR LF");
    in.remove_prefix(1);
    --bulk_left_;
  }
  if (bulk_left_ > 0) return true;
  in_bulk_ = false;
  if (verbatim_) {
    if (bulk_.text[3] != ':') return fail("a verbatim text without its format");
    bulk_.text.erase(0, 4);
  }
  finish(std::move(bulk_));
  return true;
}

void Parser::finish(Value value) {
  while (!stack_.empty()) {
    Open& top = stack_.back();
    if (!top.attribute) top.value.items.push_back(std::move(value));
    if (--top.left > 0) return;
    value = std::move(top.value);
    const bool attribute = top.attribute;
    stack_.pop_back();
    if (attribute) return;  // what it belongs to is still to come
  }
  whole_ = std::move(value);
  done_ = true;
}

}  // namespace penstock::redis
