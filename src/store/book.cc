#include "store/book.h"

#include <chrono>

namespace penstock::store {
namespace {

std::int64_t microseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

std::uint64_t milliseconds(std::int64_t us) {
  return us < 0 ? 0 : static_cast<std::uint64_t>(us) / 1000;
}

std::int64_t second_of(WallTime now) {
  return std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
}

}  // namespace

std::string_view label_of(Level level) {
  switch (level) {
    case Level::memory: return "memory";
    case Level::redis: return "redis";
    case Level::semantic: return "semantic";
    case Level::coalesced: return "coalesced";
    case Level::none: break;
  }
  return {};
}

void Book::add(const UsageRow& row) {
  if (!folder_.take_record()) return;
  const std::size_t size = encoded_size(row);
  const std::lock_guard lock(rows_.mutex());
  char* const to = rows_.begin(kRow, size, 0);
  if (to == nullptr) return folder_.drop_record();
  const bool named = row.id.front() != '\0';
  encode(row, named ? row.id : make_uuid7(milliseconds(row.time_us), random_), to);
  rows_.commit();
}

void Book::hit(const HitKey& key, const Usage& saved, Nano cost, Duration took, WallTime now,
               float complexity) {
  const auto rest = static_cast<std::uint32_t>(key.status) << 8 | static_cast<unsigned>(key.level);
  const std::int64_t second = second_of(now);
  const std::lock_guard lock(sums_.mutex());
  if (second != second_) {
    close_all();
    second_ = second;
  }
  Slot* slot = &slot_of(key.caller.get(), key.served, rest);
  if (slot->generation != generation_) {
    if ((open_.size() + 1) * 4 > slots_.size() * 3) {
      grow();
      slot = &slot_of(key.caller.get(), key.served, rest);
    }
    if (!open(*slot, key, now)) return;
  }
  add_hit(slot->lines, saved, cost, microseconds(took), complexity);
  sums_.touch();
}

Book::Slot& Book::slot_of(const Caller* caller, const Served* served, std::uint32_t rest) {
  const auto a = reinterpret_cast<std::uintptr_t>(caller);
  const auto b = reinterpret_cast<std::uintptr_t>(served);
  std::uint64_t hash = (a ^ rest) * 0x9e3779b97f4a7c15 + b * 0xbf58476d1ce4e5b9;
  hash ^= hash >> 32;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    Slot& slot = slots_[at];
    if (slot.generation != generation_) return slot;
    if (slot.caller == caller && slot.served == served && slot.rest == rest) return slot;
  }
}

// REQUIRES: the slot is free and the table not full.
bool Book::open(Slot& slot, const HitKey& key, WallTime now) {
  if (!folder_.take_record()) return false;
  UsageRow row;
  row.time_us = std::chrono::floor<std::chrono::microseconds>(now).time_since_epoch().count();
  row.id = make_uuid7(milliseconds(row.time_us), random_);
  if (key.caller) {
    row.tenant = key.caller->tenant;
    row.key = key.caller->key;
  }
  row.model = key.served->model;
  row.engine = key.served->engine;
  row.route = key.served->route;
  row.cache = label_of(key.level);
  row.status = key.status;
  row.count = 0;
  char* const to = sums_.begin(kSum, encoded_size(row), kSumLines);
  if (to == nullptr) {
    folder_.drop_record();
    return false;
  }
  encode(row, row.id, to);
  sums_.hold();  // before it is committed: nobody reads what is still counted
  slot.caller = key.caller.get();
  slot.served = key.served;
  slot.rest = static_cast<std::uint32_t>(key.status) << 8 | static_cast<unsigned>(key.level);
  slot.generation = generation_;
  slot.lines = reinterpret_cast<Counters*>(sums_.lines());
  slot.kept = key.caller;
  open_.push_back(static_cast<std::uint32_t>(&slot - slots_.data()));
  sums_.commit();
  return true;
}

// REQUIRES: the mutex of sums_ is held.
void Book::close_all() {
  for (const std::uint32_t at : open_) slots_[at].kept.reset();
  open_.clear();
  sums_.release();
  if (++generation_ == 0) {  // after as many seconds nothing may look like new
    for (Slot& slot : slots_) slot.generation = 0;
    generation_ = 1;
  }
}

void Book::close_sums(std::optional<WallTime> now) {
  const std::lock_guard lock(sums_.mutex());
  if (open_.empty() || (now && second_of(*now) == second_)) return;
  close_all();
}

// Doubles the table; one that is as large as it may be begins anew, with new sums.
void Book::grow() {
  if (slots_.size() >= kMostSlots) return close_all();
  std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
  for (std::uint32_t& at : open_) {
    Slot& from = old[at];
    Slot& to = slot_of(from.caller, from.served, from.rest);
    to = std::move(from);
    at = static_cast<std::uint32_t>(&to - slots_.data());
  }
}

}  // namespace penstock::store
