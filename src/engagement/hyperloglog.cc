#include "engagement/hyperloglog.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace penstock::engagement {
namespace {

// Of the estimator: what registers at 0, and at their highest, add.
double sigma(double x) {
  if (x == 1) return HUGE_VAL;
  double y = 1;
  double z = x;
  for (double before = -1; before != z;) {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  }
  return z;
}

double tau(double x) {
  if (x == 0 || x == 1) return 0;
  double y = 1;
  double z = 1 - x;
  for (double before = -1; before != z;) {
    x = std::sqrt(x);
    before = z;
    y *= 0.5;
    z -= std::pow(1 - x, 2) * y;
  }
  return z / 3;
}

}  // namespace

std::uint64_t murmur(std::string_view bytes) {
  constexpr std::uint64_t kMix = 0xc6a4a7935bd1e995;
  constexpr int kShift = 47;
  std::uint64_t hash = 0xadc83b19 ^ (bytes.size() * kMix);
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    bytes.remove_prefix(8);
    word *= kMix;
    word ^= word >> kShift;
    word *= kMix;
    hash = (hash ^ word) * kMix;
  }
  if (!bytes.empty()) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), bytes.size());
    hash = (hash ^ word) * kMix;
  }
  hash ^= hash >> kShift;
  hash *= kMix;
  return hash ^ (hash >> kShift);
}

bool HyperLogLog::add(std::uint64_t hash) {
  const std::size_t which = hash & (kRegisters - 1);
  const std::uint64_t rest = (hash >> kBits) | (std::uint64_t{1} << kRest);
  return raise(which, static_cast<std::uint8_t>(std::countr_zero(rest) + 1));
}

bool HyperLogLog::raise(std::size_t which, std::uint8_t rank) {
  std::atomic<std::uint8_t>& cell = registers_[which];
  std::uint8_t seen = cell.load(std::memory_order_relaxed);
  while (seen < rank) {
    if (cell.compare_exchange_weak(seen, rank, std::memory_order_relaxed)) return true;
  }
  return false;
}

void HyperLogLog::merge(const HyperLogLog& other) {
  for (std::size_t i = 0; i < kRegisters; ++i) {
    raise(i, other.registers_[i].load(std::memory_order_relaxed));
  }
}

void HyperLogLog::clear() {
  for (auto& cell : registers_) cell.store(0, std::memory_order_relaxed);
}

std::uint64_t HyperLogLog::estimate() const {
  std::array<int, kRest + 2> histogram{};
  for (const auto& cell : registers_) ++histogram[cell.load(std::memory_order_relaxed)];
  constexpr auto kCount = static_cast<double>(kRegisters);
  constexpr double kAlpha = 0.721347520444481703680;  // 1 / (2 ln 2)
  double z = kCount * tau((kCount - histogram[kRest + 1]) / kCount);
  for (std::size_t rank = kRest; rank >= 1; --rank) {
    z += histogram[rank];
    z *= 0.5;
  }
  z += kCount * sigma(histogram[0] / kCount);
  return static_cast<std::uint64_t>(std::llround(kAlpha * kCount * kCount / z));
}

}  // namespace penstock::engagement
