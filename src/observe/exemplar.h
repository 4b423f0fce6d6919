// The trace of one request beside the bucket that it was counted in, so that a graph leads to it.
//
// Written by one thread and read by any, without a lock: the version is odd while the rest is being
// written, and a reader that saw it odd or changed looks again. All of it is atomic, so that a torn
// read is a stale one and never a race.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

namespace penstock::observe {

// As in `traceparent`. Zero: the request has none, or its trace is not kept.
struct TraceId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  explicit operator bool() const { return (high | low) != 0; }
  friend bool operator==(const TraceId&, const TraceId&) = default;
};

// 32 hexadecimal digits.
std::string hex(const TraceId& trace);

struct Exemplar {
  TraceId trace;
  double value = 0;
  double unix_seconds = 0;  // when it was observed
};

class ExemplarCell {
 public:
  void set(const Exemplar& seen) {
    const std::uint64_t version = version_.load(std::memory_order_relaxed);
    version_.store(version + 1, std::memory_order_relaxed);
    // Released, each of them: nobody sees one of these before the odd version.
    high_.store(seen.trace.high, std::memory_order_release);
    low_.store(seen.trace.low, std::memory_order_release);
    value_.store(seen.value, std::memory_order_release);
    unix_seconds_.store(seen.unix_seconds, std::memory_order_release);
    version_.store(version + 2, std::memory_order_release);
  }

  // Nothing: there was none yet, or each look met a writer; then the next scrape shows it.
  std::optional<Exemplar> get() const {
    constexpr int kLooks = 100;
    for (int i = 0; i < kLooks; ++i) {
      const std::uint64_t before = version_.load(std::memory_order_acquire);
      if (before == 0) return std::nullopt;
      if (before % 2 != 0) continue;
      Exemplar seen;
      seen.trace.high = high_.load(std::memory_order_acquire);
      seen.trace.low = low_.load(std::memory_order_acquire);
      seen.value = value_.load(std::memory_order_acquire);
      seen.unix_seconds = unix_seconds_.load(std::memory_order_acquire);
      if (version_.load(std::memory_order_relaxed) == before) return seen;
    }
    return std::nullopt;
  }

 private:
  std::atomic<std::uint64_t> version_{0};
  std::atomic<std::uint64_t> high_{0}, low_{0};
  std::atomic<double> value_{0}, unix_seconds_{0};
};

}  // namespace penstock::observe
