// Memory of coroutine frames, used again: each loop keeps those that ended for those that begin.
//
//   class   0    1    2   ...  31      a list for each size, 128 bytes apart
//           |         |
//           O-O       O-O-O            at most kKept in each
//
// A request that waits is a chain of frames of a few sizes, and the next one's are the same.
#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace penstock {

class Frames {
 public:
  Frames() = default;
  Frames(const Frames&) = delete;
  Frames& operator=(const Frames&) = delete;
  ~Frames() {
    for (List& list : lists_) {
      while (list.first != nullptr) ::operator delete(pop(list));
    }
  }

  void* take(std::size_t size) {
    const std::size_t at = class_of(size);
    if (at >= kClasses) return ::operator new(size);
    List& list = lists_[at];
    return list.first != nullptr ? pop(list) : ::operator new((at + 1) * kStep);
  }
  // `size` as it was taken.
  void give(void* memory, std::size_t size) {
    const std::size_t at = class_of(size);
    if (at >= kClasses || lists_[at].count == kKept) return ::operator delete(memory);
    List& list = lists_[at];
    list.first = new (memory) Free{list.first};
    ++list.count;
  }

 private:
  static constexpr std::size_t kStep = 128;
  static constexpr std::size_t kClasses = 32;
  static constexpr std::size_t kKept = 64;
  struct Free {
    Free* next;
  };
  struct List {
    Free* first = nullptr;
    std::size_t count = 0;
  };

  static std::size_t class_of(std::size_t size) { return (size - 1) / kStep; }
  static void* pop(List& list) {
    Free* const first = list.first;
    list.first = first->next;
    --list.count;
    return first;
  }

  std::array<List, kClasses> lists_;
};

}  // namespace penstock
