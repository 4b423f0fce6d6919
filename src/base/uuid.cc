#include "base/uuid.h"

#include <sys/random.h>

#include <bit>
#include <cstdlib>
#include <cstring>

#include "base/hex.h"

namespace penstock {
namespace {

// splitmix64: spreads a small seed over the whole state.
std::uint64_t spread(std::uint64_t& seed) {
  std::uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random() {
  if (getrandom(state_.data(), sizeof state_, 0) != static_cast<ssize_t>(sizeof state_)) {
    std::abort();  // 32 bytes are never refused once the kernel's pool is ready
  }
}

Random::Random(std::uint64_t seed) {
  for (std::uint64_t& word : state_) word = spread(seed);
}

std::uint64_t Random::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

Uuid make_uuid7(std::uint64_t unix_ms, Random& random) {
  const std::uint64_t high = (unix_ms << 16) | 0x7000 | (random.next() & 0x0fff);
  const std::uint64_t low = 0x8000000000000000ULL | (random.next() >> 2);
  std::array<char, 32> digits;
  write_hex(low, write_hex(high, digits.data()));
  Uuid uuid;
  char* to = uuid.data();
  const char* from = digits.data();
  for (const std::size_t size : std::array<std::size_t, 5>{8, 4, 4, 4, 12}) {
    if (from != digits.data()) *to++ = '-';
    std::memcpy(to, from, size);
    to += size;
    from += size;
  }
  return uuid;
}

}  // namespace penstock
