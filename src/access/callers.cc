#include "access/callers.h"

namespace penstock::access {

Callers::Callers(std::size_t most_known, std::size_t most_refused) {
  for (Shard& shard : shards_) {
    shard.known.set_most((most_known + kShards - 1) / kShards);
    shard.refused.set_most((most_refused + kShards - 1) / kShards);
  }
}

CallerPtr Callers::known(const Digest& digest, WallTime now) const {
  const Shard& in = shard(digest);
  const std::lock_guard lock(in.mutex);
  const KnownCaller* const found = in.known.find(digest);
  if (found == nullptr) return nullptr;
  if (found->caller->expires && now >= *found->caller->expires) return nullptr;
  return found->caller;
}

CallerPtr Callers::known(const Digest& digest, WallTime now, std::uint64_t generation) const {
  const Shard& in = shard(digest);
  const std::lock_guard lock(in.mutex);
  const KnownCaller* const found = in.known.find(digest);
  if (found == nullptr || found->generation != generation) return nullptr;
  if (found->caller->expires && now >= *found->caller->expires) return nullptr;
  return found->caller;
}

std::optional<Refused::Why> Callers::refused(const Digest& digest, Time now) const {
  const Shard& in = shard(digest);
  const std::lock_guard lock(in.mutex);
  const Denied* const found = in.refused.find(digest);
  if (found == nullptr || now >= found->until) return std::nullopt;
  return found->why;
}

void Callers::put(const Digest& digest, KnownCaller caller) {
  Shard& in = shard(digest);
  const std::lock_guard lock(in.mutex);
  in.refused.drop(digest);
  in.known.put(digest, std::move(caller));
}

void Callers::put(const Digest& digest, Refused::Why why, Time until) {
  Shard& in = shard(digest);
  const std::lock_guard lock(in.mutex);
  in.known.drop(digest);
  in.refused.put(digest, {why, until});
}

void Callers::drop(const Digest& digest) {
  Shard& in = shard(digest);
  const std::lock_guard lock(in.mutex);
  in.known.drop(digest);
  in.refused.drop(digest);
}

void Callers::clear() {
  for (Shard& in : shards_) {
    const std::lock_guard lock(in.mutex);
    in.known.clear();
    in.refused.clear();
  }
}

void Callers::change(const std::function<CallerPtr(const KnownCaller&)>& change) {
  for (Shard& in : shards_) {
    const std::lock_guard lock(in.mutex);
    in.known.each([&](KnownCaller& one) {
      if (CallerPtr changed = change(one)) one.caller = std::move(changed);
    });
  }
}

std::size_t Callers::size() const {
  std::size_t sum = 0;
  for (const Shard& in : shards_) {
    const std::lock_guard lock(in.mutex);
    sum += in.known.size();
  }
  return sum;
}

}  // namespace penstock::access
