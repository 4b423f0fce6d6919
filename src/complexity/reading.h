// What a body of chat or completions says of its question: where the words lie, and how much else
// there is. Nothing is copied.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "exchange/exchange.h"

namespace penstock::complexity {

struct Reading {
  static constexpr std::size_t kParts = 4;

  // Texts as they are written in JSON, with their escapes.
  std::array<std::string_view, kParts> last;  // the user's last message, its first parts
  std::size_t last_parts = 0;
  std::size_t last_bytes = 0;  // of all parts
  std::string_view system;     // the first of its kind
  std::uint32_t turns = 0;     // of the user
  std::uint32_t tools = 0;
};

// False: nobody asks anything, or the body is none.
bool read(Endpoint endpoint, std::string_view body, Reading& reading);

}  // namespace penstock::complexity
