// How near the program is to the memory that it may use, and whether a body still fits.
//
//   resident of the limit   80 %         90 %          92 %              95 %
//   ─────────────────────────┼────────────┼─────────────┼─────────────────┼──────>
//                   the cache shrinks     │     connections close     questions
//                             large bodies are     after their       are refused
//                                 refused            answer
//
// What clients have announced and not sent yet is counted with what is there: a thousand that each
// begin a large body are turned away before they fill it. They may not fill it to where others are
// turned away either: who asks small questions is not to suffer from them.
#pragma once

#include <atomic>
#include <cstdint>

namespace penstock::http {

// Any thread.
class MemoryGate {
 public:
  enum class Level : std::uint8_t { free, shrink, close, refuse };

  // Bytes; 0: there is no limit.
  void set_limit(std::uint64_t limit) { limit_.store(limit, std::memory_order_relaxed); }
  // What the program has now; by one thread, often. `read` looks: what came before is in it.
  template <class Read>
  void look(const Read& read) {
    const std::uint64_t came = came_.load(std::memory_order_relaxed);
    resident_.store(read(), std::memory_order_relaxed);
    came_.fetch_sub(came, std::memory_order_relaxed);
  }

  Level level() const {
    const std::uint64_t limit = limit_.load(std::memory_order_relaxed);
    if (limit == 0) return Level::free;
    const std::uint64_t resident = resident_.load(std::memory_order_relaxed);
    if (resident >= part(limit, 95)) return Level::refuse;
    if (resident >= part(limit, 92)) return Level::close;
    return resident >= part(limit, 80) ? Level::shrink : Level::free;
  }
  // How much there is above the point where the cache begins to shrink.
  std::uint64_t excess() const {
    const std::uint64_t most = part(limit_.load(std::memory_order_relaxed), 80);
    const std::uint64_t resident = resident_.load(std::memory_order_relaxed);
    return most != 0 && resident > most ? resident - most : 0;
  }

  // Room for a large body that is about to come; false: refuse it. It has `come`, or will not:
  // `give` it back.
  bool take(std::uint64_t bytes) {
    const std::uint64_t limit = limit_.load(std::memory_order_relaxed);
    const std::uint64_t promised = promised_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    if (limit == 0) return true;
    const std::uint64_t resident = resident_.load(std::memory_order_relaxed);
    const std::uint64_t came = came_.load(std::memory_order_relaxed);
    if (resident + came + promised < part(limit, 90)) return true;
    promised_.fetch_sub(bytes, std::memory_order_relaxed);
    return false;
  }
  void come(std::uint64_t bytes) {
    came_.fetch_add(bytes, std::memory_order_relaxed);
    give(bytes);
  }
  void give(std::uint64_t bytes) { promised_.fetch_sub(bytes, std::memory_order_relaxed); }
  std::uint64_t promised() const { return promised_.load(std::memory_order_relaxed); }

 private:
  static std::uint64_t part(std::uint64_t limit, std::uint64_t percent) {
    return limit / 100 * percent;
  }

  std::atomic<std::uint64_t> limit_{0};
  std::atomic<std::uint64_t> resident_{0};
  std::atomic<std::uint64_t> promised_{0};
  std::atomic<std::uint64_t> came_{0};  // since the last look
};

}  // namespace penstock::http
