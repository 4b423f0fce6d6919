#include "app/shown.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>

namespace penstock::app {
namespace {

// Whether `c` may stand at place `at` of the character that begins with `first` (RFC 3629): longer
// forms than need be, surrogates and what is above U+10FFFF are no characters.
bool continues(unsigned char first, std::size_t at, char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (at == 1 && first == 0xE0 && byte < 0xA0) return false;
  if (at == 1 && first == 0xED && byte >= 0xA0) return false;
  if (at == 1 && first == 0xF0 && byte < 0x90) return false;
  if (at == 1 && first == 0xF4 && byte >= 0x90) return false;
  return (byte & 0xC0) == 0x80;
}

// The length of the character that begins with this byte; 0 for a byte that begins none.
std::size_t length_of(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return 2;
  if (first >= 0xE0 && first <= 0xEF) return 3;
  if (first >= 0xF0 && first <= 0xF4) return 4;
  return 0;
}

void escape(std::string& out, std::string_view bytes) {
  for (const char c : bytes) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
}

}  // namespace

std::string Visible::feed(std::string_view piece) {
  std::string joined;
  if (!held_.empty()) {
    joined = std::move(held_);
    joined += piece;
    piece = joined;
    held_.clear();
  }
  std::string out;
  out.reserve(piece.size());
  while (!piece.empty()) {
    const auto first = static_cast<unsigned char>(piece.front());
    const std::size_t length = length_of(first);
    std::size_t have = std::min<std::size_t>(1, length);
    while (have < length && have < piece.size() && continues(first, have, piece[have])) ++have;
    if (have == 0 || (have < length && have < piece.size())) {  // no character
      const std::size_t bad = std::max<std::size_t>(have, 1);
      escape(out, piece.substr(0, bad));
      piece.remove_prefix(bad);
      continue;
    }
    if (have < length) {  // its end comes with the next piece
      held_ = piece;
      break;
    }
    const bool c0 = first < 0x20 && first != '\n' && first != '\t';
    if (c0 || first == 0x7F) {
      escape(out, piece.substr(0, 1));
    } else if (first == 0xC2 && static_cast<unsigned char>(piece[1]) < 0xA0) {
      escape(out, piece.substr(1, 1));  // by its number: U+009B is \x9b
    } else {
      out += piece.substr(0, length);
    }
    piece.remove_prefix(length);
  }
  return out;
}

std::string Visible::end() {
  std::string out;
  escape(out, held_);
  held_.clear();
  return out;
}

std::string visible(std::string_view text) {
  Visible all;
  std::string out = all.feed(text);
  return out += all.end();
}

std::string error_message(std::string_view json) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const simdjson::padded_string padded(json);
  if (parser.parse(padded).get(root) != simdjson::SUCCESS) return {};
  std::string_view text;
  const auto found = [&text](simdjson::simdjson_result<simdjson::dom::element> at) {
    return at.get(text) == simdjson::SUCCESS && !text.empty();
  };
  if (found(root["error"]["message"]) || found(root["error"]) || found(root["message"]) ||
      found(root["detail"])) {
    return visible(text);
  }
  return {};
}

std::string table_text(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += i + 1 < row.size() ? fmt::format("{:<{}}  ", row[i], widths[i]) : row[i];
    }
    out += '\n';
  }
  return out;
}

}  // namespace penstock::app
