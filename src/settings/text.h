// Text as it is checked, quoted and compared.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace penstock::settings {

// The offset of the first byte that may not stand in a settings file: what is no UTF-8
// (RFC 3629), NUL, and control bytes other than tab, line feed and carriage return.
std::optional<std::size_t> first_bad_byte(std::string_view text);

// The number of characters, of UTF-8; a lone byte that is none counts as one.
std::size_t characters(std::string_view text);

// A JSON string (RFC 8259), which is also a YAML double-quoted one.
std::string quote(std::string_view text);

// For a message: quoted, control bytes escaped, cut where it is long.
std::string shown(std::string_view text);

// A URL, for messages: what may be a user, a password or a key is "***". It need not be a good URL,
// and what is no URL at all stays as it is.
std::string without_secrets(std::string_view url);

// For a path in a message: control bytes escaped, cut where it is long.
std::string printable(std::string_view text);

// The candidate that was probably meant: the closest by insertions, deletions, substitutions and
// swaps of neighbours (Damerau, CACM 1964), letter case aside; none where even that one is far.
// An earlier candidate wins over an equally close one.
std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> candidates);

// "a", "a or b", "a, b or c".
std::string either(std::span<const std::string_view> words);

}  // namespace penstock::settings
