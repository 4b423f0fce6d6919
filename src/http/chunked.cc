#include "http/chunked.h"

#include <algorithm>

namespace penstock::http {
namespace {

constexpr int kMaxDigits = 16;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Of a field's name (RFC 9110 section 5.6.2).
bool token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

}  // namespace

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view in) {
  std::size_t i = 0;
  const auto bad = [&] {
    at_ = At::failed;
    return Step{i, {}, State::bad};
  };
  while (i < in.size()) {
    const char c = in[i];
    switch (at_) {
      case At::size_first:
      case At::size: {
        const int value = hex_value(c);
        if (value >= 0) {
          if (++digits_ > kMaxDigits) return bad();
          left_ = left_ * 16 + static_cast<std::uint64_t>(value);
          at_ = At::size;
        } else if (at_ == At::size_first) {
          return bad();
        } else if (c == '\r') {
          at_ = At::size_lf;
        } else if (c == ';') {
          at_ = At::extension;
        } else {
          return bad();
        }
        ++i;
        break;
      }
      case At::extension:
        ++i;
        if (c == '\r') {
          at_ = At::size_lf;
        } else if (control(c) || ++extension_bytes_ > kExtensionBytes) {
          return bad();
        }
        break;
      case At::size_lf:
        if (c != '\n') return bad();
        ++i;
        digits_ = 0;
        at_ = left_ == 0 ? At::trailer_begin : At::data;
        break;
      case At::data: {
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size() - i));
        left_ -= size;
        if (left_ == 0) at_ = At::data_cr;
        return {i + size, in.substr(i, size), State::data};
      }
      case At::data_cr:
        if (c != '\r') return bad();
        ++i;
        at_ = At::data_lf;
        break;
      case At::data_lf:
        if (c != '\n') return bad();
        ++i;
        at_ = At::size_first;
        break;
      case At::trailer_begin:
        ++i;
        if (c == '\r') {
          at_ = At::end_lf;
        } else if (!token_char(c) || ++trailer_bytes_ > kTrailerBytes) {
          return bad();
        } else {
          at_ = At::trailer_name;
        }
        break;
      // Dropped, but only what is a field: whoever knows no trailers reads a request there.
      case At::trailer_name:
        ++i;
        if (c == ':') {
          at_ = At::trailer;
        } else if (!token_char(c)) {
          return bad();
        }
        if (++trailer_bytes_ > kTrailerBytes) return bad();
        break;
      case At::trailer:
        ++i;
        if (c == '\r') {
          at_ = At::trailer_lf;
        } else if (control(c) || ++trailer_bytes_ > kTrailerBytes) {
          return bad();
        }
        break;
      case At::trailer_lf:
        if (c != '\n') return bad();
        ++i;
        at_ = At::trailer_begin;
        break;
      case At::end_lf:
        if (c != '\n') return bad();
        return {i + 1, {}, State::end};
      case At::failed: return bad();
    }
  }
  return {i, {}, State::more};
}

}  // namespace penstock::http
