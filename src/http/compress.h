// Content codings of answers (RFC 9110 sections 8.4.1, 12.5.3; RFC 7932, 8878, 1952).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace penstock::http {

enum class Packing : std::uint8_t { zstd, br, gzip };
inline constexpr std::size_t kPackings = 3;
std::string_view name_of(Packing packing);  // as in Content-Encoding
std::optional<Packing> packing_of(std::string_view name);

// The coding that a client takes most gladly, of those `offered` in the order of preference;
// nothing: the body as it is.
std::optional<Packing> negotiate(std::string_view accept_encoding,
                                 std::span<const Packing> offered);

enum class Effort : std::uint8_t {
  fast,   // some 100 MB/s and more, while a client waits
  dense,  // once, in the background, for many clients
};

// Empty where there was no memory for it.
std::string compress(Packing packing, Effort effort, std::string_view body);

}  // namespace penstock::http
