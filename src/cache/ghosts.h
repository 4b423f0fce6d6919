// Keys that eviction let go of unread: one that comes back soon was worth keeping (S3-FIFO).
//
// No queue: a ghost is what was added among the last so many, told by its number. One that is older
// is overwritten when its bucket needs the slot. A bucket is one line of the processor's cache.
//
//   bucket = mark's low bits   [mark number] [mark number] ... 8 of them
//
// A mark is 32 bits of a key's hash. Where two keys have one mark, one of them is kept for longer
// than it deserves.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace penstock::cache {

class Ghosts {
 public:
  // From now on the last `most` of them are ghosts.
  void add(std::uint64_t hash, std::size_t most) {
    most_ = static_cast<std::uint32_t>(most);
    // Half full on the average: few ghosts are overwritten before their time.
    while (buckets_.size() * kSlots < 2 * most) grow();
    if (++last_ == 0) ++last_;
    place(mark_of(hash), last_);
  }

  // Whether there was one. There is none any more.
  bool take(std::uint64_t hash) {
    if (buckets_.empty()) return false;
    const std::uint32_t mark = mark_of(hash);
    for (Slot& slot : bucket_of(mark)) {
      if (slot.number == 0 || slot.mark != mark) continue;
      const bool ghost = age(slot) < most_;
      slot = {};
      return ghost;
    }
    return false;
  }

  std::uint64_t bytes() const { return buckets_.capacity() * sizeof(Bucket); }

 private:
  static constexpr std::size_t kSlots = 8;
  struct Slot {
    std::uint32_t mark = 0;
    std::uint32_t number = 0;  // 0: empty
  };
  struct alignas(64) Bucket : std::array<Slot, kSlots> {};

  static std::uint32_t mark_of(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash >> 32);
  }
  Bucket& bucket_of(std::uint32_t mark) { return buckets_[mark & (buckets_.size() - 1)]; }
  // How many were added since. May wrap: then something old is a ghost for a moment.
  std::uint32_t age(const Slot& slot) const { return last_ - slot.number; }

  void place(std::uint32_t mark, std::uint32_t number) {
    Bucket& bucket = bucket_of(mark);
    Slot* oldest = bucket.data();
    for (Slot& slot : bucket) {
      if (slot.mark == mark && slot.number != 0) return void(slot.number = number);
      if (slot.number == 0 || (oldest->number != 0 && age(slot) > age(*oldest))) oldest = &slot;
    }
    *oldest = {mark, number};
  }

  void grow() {
    std::vector<Bucket> old(std::max<std::size_t>(1, buckets_.size() * 2));
    std::swap(old, buckets_);
    for (const Bucket& bucket : old) {
      for (const Slot& slot : bucket) {
        if (slot.number != 0) place(slot.mark, slot.number);
      }
    }
  }

  std::vector<Bucket> buckets_;  // a power of two, or none yet
  std::uint32_t last_ = 0;
  std::uint32_t most_ = 0;
};

}  // namespace penstock::cache
