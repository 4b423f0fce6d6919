#include "redis/command.h"

#include <array>
#include <charconv>

namespace penstock::redis {
namespace {

void append_count(std::string& out, char tag, std::size_t count) {
  std::array<char, 24> line;
  line[0] = tag;
  char* const end = std::to_chars(line.data() + 1, line.data() + 21, count).ptr;
  out.append(line.data(), end);
  out += "\r\n";
}

}  // namespace

void append_command(std::string& out, Words words) {
  append_count(out, '*', words.size());
  for (const std::string_view word : words) {
    append_count(out, '$', word.size());
    out += word;
    out += "\r\n";
  }
}

}  // namespace penstock::redis
