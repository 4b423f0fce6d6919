#include "base/alarm.h"

#include <algorithm>

namespace penstock {

AlarmWheel::AlarmWheel(Time now) : origin_(now) {
  for (AlarmLink& slot : slots_) slot.next = slot.previous = &slot;
}

AlarmWheel::~AlarmWheel() {
  for (AlarmLink& slot : slots_) {
    while (slot.next != &slot) static_cast<Alarm*>(slot.next)->unlink();
  }
}

std::uint64_t AlarmWheel::tick_of(Time at) const {
  if (at <= origin_) return 0;
  // Rounded up: an alarm may ring late by a slot, never early.
  return static_cast<std::uint64_t>((at - origin_ + kSlot - Duration{1}) / kSlot);
}

void AlarmWheel::link(Alarm& alarm, std::uint64_t tick) {
  alarm.tick_ = tick;
  AlarmLink& slot = slots_[tick % kSlots];
  alarm.previous = slot.previous;
  alarm.next = &slot;
  slot.previous->next = &alarm;
  slot.previous = &alarm;
}

void AlarmWheel::set(Alarm& alarm, Time at) {
  alarm.at_ = at;
  if (at == Time::max()) {
    alarm.unlink();
    return;
  }
  // The common case: linked already, and in a slot that will be looked at in time.
  if (alarm.linked()) {
    const Time looked_at = origin_ + alarm.tick_ * kSlot;
    if (looked_at <= at) return;
    alarm.unlink();
  }
  // No further than a turn of the wheel ahead; from there it is put on again.
  const std::uint64_t tick = std::clamp(tick_of(at), now_ + 1, now_ + kSlots - 1);
  link(alarm, tick);
}

void AlarmWheel::advance(Time now) {
  if (now < origin_) return;
  const auto target = static_cast<std::uint64_t>((now - origin_) / kSlot);
  if (target <= now_) return;
  // After a long sleep every slot is looked at once, not once a turn.
  const std::uint64_t first = target - now_ > kSlots ? target - kSlots + 1 : now_ + 1;
  now_ = target;
  for (std::uint64_t tick = first; tick <= target; ++tick) {
    AlarmLink& slot = slots_[tick % kSlots];
    if (slot.next == &slot) continue;
    // Moved to a ring of its own first: what rings may set alarms into this very slot.
    AlarmLink due{slot.next, slot.previous};
    due.next->previous = due.previous->next = &due;
    slot.next = slot.previous = &slot;
    while (due.next != &due) {
      Alarm& alarm = *static_cast<Alarm*>(due.next);
      alarm.unlink();
      if (alarm.at_ <= now) {
        alarm.at_ = Time::max();
        alarm.ring(now);
      } else {
        link(alarm, std::clamp(tick_of(alarm.at_), now_ + 1, now_ + kSlots - 1));
      }
    }
  }
}

Time AlarmWheel::next() const {
  for (std::uint64_t tick = now_ + 1; tick < now_ + kSlots; ++tick) {
    const AlarmLink& slot = slots_[tick % kSlots];
    if (slot.next != &slot) return origin_ + tick * kSlot;
  }
  return Time::max();
}

}  // namespace penstock
