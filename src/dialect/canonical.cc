#include "dialect/canonical.h"

#include <algorithm>

namespace penstock::dialect {
namespace {

constexpr std::size_t kFew = 16;  // sorted by insertion

}  // namespace

const Member* sort_members(const Member* first, std::span<const Member*> order) {
  if (order.size() <= kFew) {
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Member* const next = first + i;
      std::size_t hole = i;
      for (; hole > 0 && compare(*next, *order[hole - 1]) < 0; --hole)
        order[hole] = order[hole - 1];
      order[hole] = next;
    }
  } else {
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = first + i;
    std::sort(order.begin(), order.end(),
              [](const Member* a, const Member* b) { return compare(*a, *b) < 0; });
  }
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (compare(*order[i - 1], *order[i]) == 0) return std::max(order[i - 1], order[i]);
  }
  return nullptr;
}

void CanonicalWriter::rearrange(std::span<const Member* const> order, std::uint32_t place,
                                Buffer& spare) {
  // What already stands where it belongs, mostly the longest, stays there.
  std::size_t from = 0;
  for (; from < order.size() && order[from]->begin == place; ++from) place = order[from]->end;
  grow(spare, size() - place);
  std::uint32_t copied = 0;
  for (const Member* const member : order.subspan(from)) {
    const std::uint32_t length = member->end - member->begin;
    std::memcpy(spare.data() + copied, begin_ + member->begin, length);
    copied += length;
  }
  std::memcpy(begin_ + place, spare.data(), copied);
}

}  // namespace penstock::dialect
