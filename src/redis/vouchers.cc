#include "redis/vouchers.h"

namespace penstock::redis {

Vouchers::Vouchers() {
  free_.reserve(kPlaces);
  for (std::size_t place = kPlaces; place > 0; --place) {
    free_.push_back(static_cast<std::uint16_t>(place - 1));
  }
}

Vouch Vouchers::issue() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) return 0;
  const Vouch vouch = ++serial_ * kPlaces + free_.back();
  free_.pop_back();
  places_[vouch % kPlaces].store(vouch, std::memory_order_release);
  return vouch;
}

void Vouchers::withdraw(Vouch vouch) {
  const std::lock_guard lock(mutex_);
  if (!good(vouch)) return;
  const std::size_t place = vouch % kPlaces;
  places_[place].store(0, std::memory_order_release);
  free_.push_back(static_cast<std::uint16_t>(place));
}

}  // namespace penstock::redis
