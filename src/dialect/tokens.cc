#include "dialect/tokens.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>

#include "dialect/bytes.h"

namespace penstock::dialect {
namespace {

constexpr std::size_t kLeast = 16 * 1024;

// simdjson says what is wrong but not where: that is looked for again, slowly.
Defect first_bad_utf8(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    const std::size_t length = utf8_length(at, end);
    if (length == 0) break;
    at += length;
  }
  return {"its text is not UTF-8", static_cast<std::size_t>(at - text.data())};
}

Defect first_bad_string(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    if (*at++ != '"') continue;
    const char* const open = at - 1;
    for (;;) {
      at = skip_plain<false>(at, end);
      if (at >= end) break;
      if (*at == '"') break;
      if (*at != '\\') {
        return {"a string has a control byte in it that is not escaped",
                static_cast<std::size_t>(at - text.data())};
      }
      at += 2;
    }
    if (at >= end) {
      return {"a string does not end", static_cast<std::size_t>(open - text.data())};
    }
    ++at;
  }
  return {"a string does not end", text.size()};
}

}  // namespace

Tokens::Tokens() = default;
Tokens::Tokens(Tokens&&) noexcept = default;
Tokens& Tokens::operator=(Tokens&&) noexcept = default;
Tokens::~Tokens() = default;

void Tokens::release() {
  parser_.reset();
  begin_ = end_ = nullptr;
}

std::optional<Defect> Tokens::find(std::string_view text) {
  if (text.size() > kMostBytes) return Defect{"it is too long", kMostBytes};
  if (!parser_ || parser_->capacity() < text.size()) {
    const std::size_t capacity = std::bit_ceil(std::max(text.size(), kLeast));
    parser_.reset();  // first: the two need not be there together
    const auto error = simdjson::get_active_implementation()->create_dom_parser_implementation(
        capacity, 1, parser_);
    if (error != simdjson::SUCCESS) {
      parser_.reset();
      return Defect{"there is no memory to read it", 0};
    }
  }
  const auto error = parser_->stage1(reinterpret_cast<const std::uint8_t*>(text.data()),
                                     text.size(), simdjson::stage1_mode::regular);
  switch (error) {
    case simdjson::SUCCESS: break;
    case simdjson::EMPTY: return Defect{"it is empty", 0};
    case simdjson::UTF8_ERROR: return first_bad_utf8(text);
    default: return first_bad_string(text);
  }
  begin_ = parser_->structural_indexes.get();
  end_ = begin_ + parser_->n_structural_indexes;
  return std::nullopt;
}

}  // namespace penstock::dialect
