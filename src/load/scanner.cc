#include "load/scanner.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace penstock::load {
namespace {

constexpr std::size_t kMaxHead = 64 * 1024;
constexpr std::size_t kMaxRefusal = 4 * 1024;
constexpr std::size_t kMaxEventLine = 64 * 1024;  // looked at for the first token

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool same(std::string_view a, std::string_view b) {  // b in lower case
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == y; });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Whether a member of that name has a string value that is not empty.
bool has_text(std::string_view json, std::string_view quoted_name) {
  for (std::size_t at = json.find(quoted_name); at != std::string_view::npos;
       at = json.find(quoted_name, at + 1)) {
    std::size_t i = at + quoted_name.size();
    while (i < json.size() && json[i] == ' ') ++i;
    if (i == json.size() || json[i] != ':') continue;
    ++i;
    while (i < json.size() && json[i] == ' ') ++i;
    if (i + 1 < json.size() && json[i] == '"' && json[i + 1] != '"') return true;
  }
  return false;
}

// {"error": ...}, the event that ends a stream badly; null there says that there is none.
bool is_error(std::string_view json) {
  constexpr std::string_view kError = "{\"error\":";
  return json.starts_with(kError) && !trim(json.substr(kError.size())).starts_with("null");
}

}  // namespace

void Scanner::reset() {
  state_ = State::status;
  keep_alive_ = true;
  event_stream_ = chunked_ = has_length_ = false;
  first_token_ = said_done_ = said_error_ = event_has_data_ = false;
  cache_size_ = 0;
  status_ = 0;
  left_ = head_bytes_ = body_bytes_ = events_ = 0;
  line_.clear();
  event_line_.clear();
  refusal_.clear();
}

std::size_t Scanner::feed(std::string_view bytes) {
  const std::size_t given = bytes.size();
  while (!bytes.empty() && state_ != State::done && state_ != State::broken) {
    if (state_ == State::counted || state_ == State::chunk) {
      const std::size_t n = std::min<std::uint64_t>(left_, bytes.size());
      body(bytes.substr(0, n));
      bytes.remove_prefix(n);
      left_ -= n;
      if (left_ == 0) state_ = state_ == State::counted ? State::done : State::chunk_end;
      continue;
    }
    if (state_ == State::until_end) {
      body(bytes);
      return given;
    }
    // All else comes in lines that end in CR LF.
    const std::size_t end = bytes.find('\n');
    const std::size_t n = end == std::string_view::npos ? bytes.size() : end + 1;
    head_bytes_ += n;
    const bool whole = end != std::string_view::npos;
    if (head_bytes_ > kMaxHead) {
      state_ = State::broken;
    } else if (whole && line_.empty()) {
      line(bytes.substr(0, n));
    } else {
      line_.append(bytes, 0, n);
      if (whole) {
        line(line_);
        line_.clear();
      }
    }
    bytes.remove_prefix(n);
  }
  return given - bytes.size();
}

bool Scanner::end() {
  if (state_ == State::until_end) {
    state_ = State::done;
    return true;
  }
  return false;
}

// `text` ends in LF.
void Scanner::line(std::string_view text) {
  text.remove_suffix(1);
  bool good = !text.empty() && text.back() == '\r';
  if (good) {
    text.remove_suffix(1);
    switch (state_) {
      case State::status: good = status_line(text); break;
      case State::fields:
        if (text.empty()) {
          head_done();
        } else {
          good = field(text);
        }
        break;
      case State::chunk_size: good = chunk_size(text); break;
      case State::chunk_end:
        good = text.empty();
        head_bytes_ = 0;
        state_ = State::chunk_size;
        break;
      case State::trailers:
        if (text.empty()) state_ = State::done;
        break;
      default: break;
    }
  }
  if (!good) state_ = State::broken;
}

// "HTTP/1.1 200 OK", RFC 9112 section 4.
bool Scanner::status_line(std::string_view text) {
  if (text.size() < 12 || !text.starts_with("HTTP/1.") || text[8] != ' ') return false;
  if (text[7] != '0' && text[7] != '1') return false;
  if (text.size() > 12 && text[12] != ' ') return false;
  status_ = 0;
  for (const char c : text.substr(9, 3)) {
    if (c < '0' || c > '9') return false;
    status_ = status_ * 10 + (c - '0');
  }
  keep_alive_ = text[7] == '1';
  state_ = State::fields;
  return status_ >= 100 && status_ < 600;
}

bool Scanner::field(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view name = text.substr(0, colon);
  if (name.find_first_of(" \t") != std::string_view::npos) return false;
  // Told apart by length first: of an answer's fields only these five matter.
  if (name.size() == 14 && same(name, "content-length")) {
    const std::string_view value = trim(text.substr(colon + 1));
    const auto [at, ec] = std::from_chars(value.data(), value.data() + value.size(), left_);
    if (ec != std::errc() || at != value.data() + value.size() || has_length_) return false;
    has_length_ = true;
  } else if (name.size() == 17 && same(name, "transfer-encoding")) {
    if (chunked_ || !same(trim(text.substr(colon + 1)), "chunked")) return false;
    chunked_ = true;
  } else if (name.size() == 10 && same(name, "connection")) {
    if (same(trim(text.substr(colon + 1)), "close")) keep_alive_ = false;
  } else if (name.size() == 12 && same(name, "content-type")) {
    const std::string_view value = trim(text.substr(colon + 1));
    event_stream_ = same(value.substr(0, value.find(';')), "text/event-stream");
  } else if (name.size() == 16 && same(name, "x-penstock-cache")) {
    const std::string_view value = trim(text.substr(colon + 1));
    const std::string_view word = value.substr(0, value.find_first_of("; ,"));
    cache_size_ = static_cast<std::uint8_t>(std::min(word.size(), sizeof cache_));
    std::memcpy(cache_, word.data(), cache_size_);
  }
  return true;
}

// Where the body ends: RFC 9112 section 6.3.
void Scanner::head_done() {
  if (chunked_ && has_length_) {
    state_ = State::broken;
  } else if (status_ < 200) {
    // Something preliminary (100, 103): the answer is still to come.
    if (status_ == 101) {
      state_ = State::broken;
    } else {
      reset();
    }
  } else if (status_ == 204 || status_ == 304) {
    state_ = State::done;
  } else if (chunked_) {
    head_bytes_ = 0;
    state_ = State::chunk_size;
  } else if (has_length_) {
    state_ = left_ == 0 ? State::done : State::counted;
  } else {
    keep_alive_ = false;
    state_ = State::until_end;
  }
}

bool Scanner::chunk_size(std::string_view text) {
  const std::string_view digits = trim(text.substr(0, text.find(';')));
  if (digits.empty() || digits.size() > 15) return false;
  const auto [at, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), left_, 16);
  if (ec != std::errc() || at != digits.data() + digits.size()) return false;
  state_ = left_ == 0 ? State::trailers : State::chunk;
  return true;
}

void Scanner::body(std::string_view bytes) {
  body_bytes_ += bytes.size();
  if (status_ >= 400) refusal_.append(bytes, 0, kMaxRefusal - refusal_.size());
  if (!event_stream_) return;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    if (end == std::string_view::npos) {
      const std::size_t room = kMaxEventLine - std::min(kMaxEventLine, event_line_.size());
      event_line_.append(bytes, 0, room);
      return;
    }
    if (event_line_.empty()) {
      event_line(bytes.substr(0, end));
    } else {
      event_line_.append(bytes, 0, end);
      event_line(event_line_);
      event_line_.clear();
    }
    bytes.remove_prefix(end + 1);
  }
}

// One line of an event stream, without its LF (WHATWG HTML, 9.2).
void Scanner::event_line(std::string_view text) {
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  if (text.empty()) {
    if (event_has_data_) ++events_;
    event_has_data_ = false;
    return;
  }
  constexpr std::string_view kData = "data:";
  if (!text.starts_with(kData)) return;
  const std::string_view data = trim(text.substr(kData.size()));
  if (data == "[DONE]") {
    said_done_ = true;
    return;
  }
  event_has_data_ = true;
  if (is_error(data)) said_error_ = true;
  if (!first_token_) {
    first_token_ = has_text(data, "\"content\"") || has_text(data, "\"text\"") ||
                   has_text(data, "\"reasoning_content\"") || has_text(data, "\"arguments\"");
  }
}

}  // namespace penstock::load
