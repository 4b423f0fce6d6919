// How many different ones there were, in 16 KiB, whatever their number: HyperLogLog.
//
//   hash of one:  | 50 bits: rank = 1 + zeros behind the last one, at most 51 | 14 bits: register |
//   a register keeps the highest rank that it has seen; 2^14 registers, standard error 0.81 %
//
// Hash, registers and estimator are those of Redis (MurmurHash64A; O. Ertl, "New cardinality
// estimation algorithms for HyperLogLog sketches", arXiv 1702.01284): whoever changes nothing here
// changes nothing in Redis either, and need not be sent there. Any thread may do anything at any
// time; who adds takes no lock.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace penstock::engagement {

// MurmurHash64A with Redis's seed.
std::uint64_t murmur(std::string_view bytes);

class HyperLogLog {
 public:
  static constexpr unsigned kBits = 14;
  static constexpr std::size_t kRegisters = std::size_t{1} << kBits;

  HyperLogLog() = default;
  HyperLogLog(const HyperLogLog&) = delete;
  HyperLogLog& operator=(const HyperLogLog&) = delete;

  // By its hash; true where that was new to the registers.
  bool add(std::uint64_t hash);
  void merge(const HyperLogLog& other);
  void clear();
  std::uint64_t estimate() const;

 private:
  static constexpr unsigned kRest = 64 - kBits;

  bool raise(std::size_t which, std::uint8_t rank);

  std::array<std::atomic<std::uint8_t>, kRegisters> registers_{};
};

}  // namespace penstock::engagement
