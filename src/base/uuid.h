// UUID version 7 (RFC 9562): sortable by time, unguessable enough to name a request.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace penstock {

// A fast generator of random bits (xoshiro256**, Blackman and Vigna), seeded by the kernel.
// Not for secrets.
class Random {
 public:
  Random();
  explicit Random(std::uint64_t seed);
  std::uint64_t next();
  // Uniform in [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  std::array<std::uint64_t, 4> state_;
};

using Uuid = std::array<char, 36>;  // "019ab3c4-7d10-7b62-9f3e-0a1b2c3d4e5f", no terminator

Uuid make_uuid7(std::uint64_t unix_ms, Random& random);
inline std::string_view text(const Uuid& uuid) { return {uuid.data(), uuid.size()}; }

}  // namespace penstock
