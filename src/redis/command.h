// Commands as Redis reads them: arrays of bulk strings, whatever is in them.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace penstock::redis {

using Words = std::span<const std::string_view>;

// "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
void append_command(std::string& out, Words words);

}  // namespace penstock::redis
