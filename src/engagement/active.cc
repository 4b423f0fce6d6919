#include "engagement/active.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>

namespace penstock::engagement {
namespace {

constexpr std::size_t kMostNews = 65'536;  // that wait while Redis is away; later ones are not sent
constexpr std::int64_t kGoodFor = 60;      // seconds, of what Redis said

struct Shape {
  std::string_view label;
  std::int64_t slot;  // seconds
  std::int64_t slots;
};
constexpr std::array<Shape, Active::kWindows> kShapes = {Shape{"5m", 30, 11}, Shape{"1h", 300, 13},
                                                         Shape{"1d", 3600, 25}};

std::int64_t seconds(WallTime now) {
  return std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
}

std::string bytes_of(std::uint64_t user) {
  std::string bytes(sizeof user, '\0');
  std::memcpy(bytes.data(), &user, sizeof user);
  return bytes;
}

}  // namespace

struct Active::Ring {
  struct Slot {
    std::atomic<std::int64_t> number{-1};
    HyperLogLog users;
  };

  explicit Ring(const Shape& of) : shape(of), slots(static_cast<std::size_t>(of.slots)) {}

  // The slot of this number, emptied if it had another one.
  Slot& at(std::int64_t number) {
    Slot& slot = slots[static_cast<std::size_t>(number % shape.slots)];
    if (slot.number.load(std::memory_order_acquire) == number) return slot;
    const std::lock_guard lock(mutex);
    if (slot.number.load(std::memory_order_relaxed) != number) {
      slot.users.clear();
      slot.number.store(number, std::memory_order_release);
    }
    return slot;
  }

  const Shape shape;
  std::mutex mutex;  // of turning to another slot
  std::deque<Slot> slots;
};

std::string_view Active::label_of(Window window) { return kShapes[window].label; }

Active::Active(bool shared, std::string prefix) : shared_(shared), prefix_(std::move(prefix)) {
  for (std::size_t i = 0; i < kWindows; ++i) rings_[i] = std::make_unique<Ring>(kShapes[i]);
}

Active::~Active() = default;

void Active::saw(std::uint64_t user, WallTime now) {
  const std::int64_t second = seconds(now);
  if (second < 0) return;
  const std::uint64_t hash = murmur({reinterpret_cast<const char*>(&user), sizeof user});
  for (std::size_t i = 0; i < kWindows; ++i) {
    const std::int64_t number = second / kShapes[i].slot;
    if (!rings_[i]->at(number).users.add(hash) || !shared_) continue;
    const std::lock_guard lock(mutex_);
    if (news_.size() < kMostNews) news_.push_back({static_cast<Window>(i), number, user});
  }
}

std::uint64_t Active::own_users(Window window, WallTime now) const {
  const Ring& ring = *rings_[window];
  const std::int64_t last = seconds(now) / ring.shape.slot;
  const auto all = std::make_unique<HyperLogLog>();
  for (const Ring::Slot& slot : ring.slots) {
    const std::int64_t number = slot.number.load(std::memory_order_acquire);
    if (number >= 0 && number <= last && number > last - ring.shape.slots) all->merge(slot.users);
  }
  return all->estimate();
}

std::uint64_t Active::users(Window window, WallTime now) const {
  const std::int64_t age = seconds(now) - counted_at_.load(std::memory_order_acquire);
  if (age >= 0 && age <= kGoodFor) return counted_[window].load(std::memory_order_relaxed);
  return own_users(window, now);
}

std::string Active::key(Window window, std::int64_t slot) const {
  return fmt::format("{}:{}:{}", prefix_, kShapes[window].label, slot);
}

Task<Result<void>> Active::exchange(Shared& shared, WallTime now, Deadline& deadline) {
  std::vector<News> news;
  {
    const std::lock_guard lock(mutex_);
    news.swap(news_);
  }
  std::map<std::string, Shared::Addition> by_key;
  for (const News& one : news) {
    const Shape& shape = kShapes[one.window];
    Shared::Addition& addition = by_key[key(one.window, one.slot)];
    addition.users.push_back(bytes_of(one.user));
    addition.keep = std::chrono::seconds(shape.slot * (shape.slots + 1));
  }
  std::vector<Shared::Addition> additions;
  for (auto& [name, addition] : by_key) {
    addition.key = name;
    additions.push_back(std::move(addition));
  }
  if (!additions.empty()) {
    Result<void> added = co_await shared.add(std::move(additions), deadline);
    if (!added) {
      const std::lock_guard lock(mutex_);
      const std::size_t room = kMostNews - std::min(kMostNews, news_.size());
      news_.insert(news_.end(), news.begin(),
                   news.begin() + static_cast<std::ptrdiff_t>(std::min(room, news.size())));
      co_return added;
    }
  }
  std::array<std::uint64_t, kWindows> counts{};
  for (std::size_t i = 0; i < kWindows; ++i) {
    const Shape& shape = kShapes[i];
    const std::int64_t last = seconds(now) / shape.slot;
    std::vector<std::string> keys;
    for (std::int64_t slot = last - shape.slots + 1; slot <= last; ++slot) {
      keys.push_back(key(static_cast<Window>(i), slot));
    }
    Result<std::uint64_t> counted = co_await shared.count(std::move(keys), deadline);
    if (!counted) co_return std::move(counted).error();
    counts[i] = *counted;
  }
  for (std::size_t i = 0; i < kWindows; ++i) {
    counted_[i].store(counts[i], std::memory_order_relaxed);
  }
  counted_at_.store(seconds(now), std::memory_order_release);
  co_return Result<void>();
}

}  // namespace penstock::engagement
