// Who vouches that what was read from Redis is still so: a tracked connection, while it lives.
//
//   connection:  ready: vouch = issue()  ──────────────>  lost: withdraw(vouch)
//   cache:       entry{answer, vouch}    good(vouch)?     no: whatever was read through it is gone
//
// A lost connection takes back all it vouched for in one store, however many entries that are.
//
//   places_[vouch % kPlaces]   the vouch that is good there now, or 0
//   vouch                      serial * kPlaces + place: one that was withdrawn never comes back
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

namespace penstock::redis {

using Vouch = std::uint64_t;  // 0: nobody

// Shared by the threads of a process.
class Vouchers {
 public:
  static constexpr std::size_t kPlaces = 4096;

  Vouchers();

  // From any thread, without a lock.
  bool good(Vouch vouch) const {
    return vouch != 0 && places_[vouch % kPlaces].load(std::memory_order_acquire) == vouch;
  }
  // 0 where more than kPlaces connections are open: what is read through it is not kept.
  Vouch issue();
  void withdraw(Vouch vouch);

 private:
  std::array<std::atomic<Vouch>, kPlaces> places_{};
  std::mutex mutex_;
  std::vector<std::uint16_t> free_;
  std::uint64_t serial_ = 0;
};

}  // namespace penstock::redis
