#include "profile/profile.h"

namespace penstock::profile {

std::size_t Sum::Hash::operator()(const std::vector<Address>& frames) const {
  // FNV-1a, a word at a time: addresses differ in their low bits.
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const Address frame : frames) hash = (hash ^ frame) * 0x100000001b3;
  return hash ^ (hash >> 32);
}

void Sum::add(std::span<const Address> frames, std::int64_t count) {
  key_.assign(frames.begin(), frames.end());
  stacks_[key_] += count;
}

}  // namespace penstock::profile
