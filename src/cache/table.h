// A hash table of pointers: open addressing, linear probing, no tombstones. The values are owned
// elsewhere; several may have one hash, and the caller tells them apart.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace penstock::cache {

template <class T>
class PointerTable {
 public:
  template <class Same>
  T* find(std::uint64_t hash, const Same& same) const {
    for (std::size_t i = hash & mask();; i = (i + 1) & mask()) {
      const Slot& slot = slots_[i];
      if (slot.value == nullptr) return nullptr;
      if (slot.hash == hash && same(*slot.value)) return slot.value;
    }
  }

  void insert(std::uint64_t hash, T* value) {
    // At most half full: probes stay short, and there is always an end to them.
    if ((size_ + 1) * 2 > slots_.size()) grow();
    std::size_t i = hash & mask();
    while (slots_[i].value != nullptr) i = (i + 1) & mask();
    slots_[i] = {hash, value};
    ++size_;
  }

  // REQUIRES: it was inserted under this hash.
  void erase(std::uint64_t hash, const T* value) {
    std::size_t i = hash & mask();
    while (slots_[i].value != value) i = (i + 1) & mask();
    // What probed past the hole moves into it, as long as that is nearer to its home.
    std::size_t hole = i;
    for (std::size_t j = (i + 1) & mask(); slots_[j].value != nullptr; j = (j + 1) & mask()) {
      const std::size_t home = slots_[j].hash & mask();
      if (((j - home) & mask()) >= ((j - hole) & mask())) {
        slots_[hole] = slots_[j];
        hole = j;
      }
    }
    slots_[hole] = {};
    --size_;
  }

  std::size_t size() const { return size_; }
  std::size_t bytes() const { return slots_.capacity() * sizeof(Slot); }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    T* value = nullptr;
  };

  std::size_t mask() const { return slots_.size() - 1; }

  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    std::swap(old, slots_);
    size_ = 0;
    for (const Slot& slot : old) {
      if (slot.value != nullptr) insert(slot.hash, slot.value);
    }
  }

  std::vector<Slot> slots_ = std::vector<Slot>(16);
  std::size_t size_ = 0;
};

}  // namespace penstock::cache
