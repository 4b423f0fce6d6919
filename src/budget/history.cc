#include "budget/history.h"

#include <algorithm>

namespace penstock::budget {

void History::put(std::vector<Slot>& ring, std::int64_t at, const Count& count) {
  Slot& slot = ring[static_cast<std::size_t>(at) % ring.size()];
  if (slot.at > at) return;  // its place was taken by a later one: it is too old
  if (slot.at < at) slot = {at, {}};
  slot.count += count;
}

Count History::sum(const std::vector<Slot>& ring, std::int64_t from, std::int64_t to) {
  Count all;
  for (std::int64_t at = from; at <= to; ++at) {
    const Slot& slot = ring[static_cast<std::size_t>(at) % ring.size()];
    if (slot.at == at) all += slot.count;
  }
  return all;
}

void History::add(std::int64_t minute, const Count& count, std::int64_t now) {
  // Another node's clock may be ahead of ours.
  if (minute > now) minute = now;
  if (minute > now - kMinutes) put(minutes_, minute, count);
  add_hour(minute, count, now);
}

void History::add_hour(std::int64_t minute, const Count& count, std::int64_t now) {
  if (minute > now) minute = now;
  if (minute < 0 || minute / 60 <= now / 60 - kHours) return;
  put(hours_, minute / 60, count);
}

void History::forget_from(std::int64_t minute) {
  for (Slot& slot : minutes_) {
    if (slot.at < minute) continue;
    Slot& hour = hours_[static_cast<std::size_t>(slot.at / 60) % hours_.size()];
    if (hour.at == slot.at / 60) {
      hour.count.good -= slot.count.good;
      hour.count.total -= slot.count.total;
    }
    slot = {};
  }
}

Count History::sum(std::int64_t minutes, std::int64_t now) const {
  if (minutes < kMinutes) return sum(minutes_, std::max<std::int64_t>(0, now - minutes + 1), now);
  return sum(hours_, std::max<std::int64_t>(0, (now - minutes) / 60), now / 60);
}

}  // namespace penstock::budget
