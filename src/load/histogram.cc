#include "load/histogram.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

namespace penstock::load {
namespace {

constexpr std::uint64_t kExact = 2048;       // values below have a bucket each
constexpr std::uint64_t kHalf = kExact / 2;  // buckets a doubling
constexpr unsigned kExactBits = 11;
constexpr std::uint64_t kMaxUs =
    std::chrono::duration_cast<std::chrono::microseconds>(Histogram::kMax).count();

std::size_t bucket_of(std::uint64_t us) {
  if (us < kExact) return us;
  const unsigned shift = static_cast<unsigned>(std::bit_width(us)) - kExactBits;
  return kExact + (shift - 1) * kHalf + ((us >> shift) - kHalf);
}

// The largest value that falls into it.
std::uint64_t top_of(std::size_t bucket) {
  if (bucket < kExact) return bucket;
  const std::size_t above = bucket - kExact;
  const unsigned shift = static_cast<unsigned>(above / kHalf) + 1;
  return ((above % kHalf + kHalf + 1) << shift) - 1;
}

Duration from_us(std::uint64_t us) {
  return std::chrono::microseconds(static_cast<std::int64_t>(us));
}

}  // namespace

Histogram::Histogram() : buckets_(bucket_of(kMaxUs) + 1) {}

void Histogram::record(Duration time, std::uint64_t count) {
  const std::int64_t rounded = (time.count() + 500) / 1000;
  const std::uint64_t us = rounded <= 0 ? 0 : std::min(static_cast<std::uint64_t>(rounded), kMaxUs);
  buckets_[bucket_of(us)] += count;
  count_ += count;
  sum_us_ += us * count;
  if (count > 0) max_us_ = std::max(max_us_, us);
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_us_ += other.sum_us_;
  max_us_ = std::max(max_us_, other.max_us_);
}

Duration Histogram::max() const { return from_us(max_us_); }

Duration Histogram::mean() const { return from_us(count_ == 0 ? 0 : sum_us_ / count_); }

Duration Histogram::percentile(double percent) const {
  assert(percent >= 0 && percent <= 100);
  if (count_ == 0) return {};
  const double wanted = std::ceil(percent / 100 * static_cast<double>(count_));
  const std::uint64_t rank =
      std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return from_us(std::min(top_of(i), max_us_));
  }
  return max();
}

}  // namespace penstock::load
