#include "engagement/sessions.h"

#include <algorithm>
#include <bit>

namespace penstock::engagement {
namespace {

constexpr std::size_t kShards = 16;
constexpr std::uint32_t kNone = UINT32_MAX;

std::uint64_t mixed(std::uint64_t number) {
  number = (number ^ (number >> 32)) * 0x9e3779b97f4a7c15;
  return number ^ (number >> 29);
}

}  // namespace

struct Sessions::Shard {
  struct Session {
    std::uint64_t id = 0;
    WallTime last{};
    std::uint64_t questions = 0;
    std::array<std::uint64_t, kRemembered> texts{};
    std::uint32_t newer = kNone;
    std::uint32_t older = kNone;
  };

  explicit Shard(std::size_t most) : table(std::bit_ceil(most * 2), kNone) {
    sessions.reserve(std::min<std::size_t>(most, 64));
  }

  std::size_t home(std::uint64_t id) const { return (mixed(id) >> 8) & (table.size() - 1); }
  std::size_t next(std::size_t at) const { return (at + 1) & (table.size() - 1); }
  // Where the id is, or would be.
  std::size_t place(std::uint64_t id) const {
    std::size_t at = home(id);
    while (table[at] != kNone && sessions[table[at]].id != id) at = next(at);
    return at;
  }

  void unlink(std::uint32_t which) {
    Session& session = sessions[which];
    (session.newer == kNone ? newest : sessions[session.newer].older) = session.older;
    (session.older == kNone ? oldest : sessions[session.older].newer) = session.newer;
  }
  void link(std::uint32_t which) {
    Session& session = sessions[which];
    session.newer = kNone;
    session.older = newest;
    if (newest != kNone) sessions[newest].newer = which;
    newest = which;
    if (oldest == kNone) oldest = which;
  }

  // Takes it out; what stands behind it in the table moves up.
  void remove(std::uint32_t which) {
    unlink(which);
    std::size_t hole = place(sessions[which].id);
    for (std::size_t at = next(hole); table[at] != kNone; at = next(at)) {
      const std::size_t wanted = home(sessions[table[at]].id);
      if (((at - wanted) & (table.size() - 1)) >= ((at - hole) & (table.size() - 1))) {
        table[hole] = table[at];
        hole = at;
      }
    }
    table[hole] = kNone;
    unused.push_back(which);
  }

  std::uint32_t add(std::uint64_t id) {
    std::uint32_t which = 0;
    if (unused.empty()) {
      which = static_cast<std::uint32_t>(sessions.size());
      sessions.emplace_back();
    } else {
      which = unused.back();
      unused.pop_back();
      sessions[which] = Session();
    }
    sessions[which].id = id;
    table[place(id)] = which;
    link(which);
    return which;
  }

  std::size_t open() const { return sessions.size() - unused.size(); }

  std::mutex mutex;
  std::vector<Session> sessions;
  std::vector<std::uint32_t> unused;
  std::vector<std::uint32_t> table;  // open addressing; twice as large as it is ever full
  std::uint32_t newest = kNone;
  std::uint32_t oldest = kNone;
};

Sessions::Sessions(const Options& options, Ended ended)
    : options_(options), ended_(std::move(ended)) {
  for (std::size_t i = 0; i < kShards; ++i) {
    shards_.push_back(std::make_unique<Shard>(std::max<std::size_t>(1, options_.most / kShards)));
  }
}

Sessions::~Sessions() = default;

Sessions::Seen Sessions::asked(std::uint64_t session, std::uint64_t text, WallTime now) {
  const std::size_t most = std::max<std::size_t>(1, options_.most / kShards);
  Shard& shard = *shards_[mixed(session) % kShards];
  const std::lock_guard lock(shard.mutex);
  const auto end = [&](std::uint32_t which) {
    ended_(shard.sessions[which].questions);
    shard.remove(which);
  };
  // Those that are over, two at a time: as many as come, and one more.
  for (int i = 0; i < 2 && shard.oldest != kNone; ++i) {
    if (now - shard.sessions[shard.oldest].last <= options_.idle) break;
    end(shard.oldest);
  }
  Seen seen;
  std::uint32_t which = shard.table[shard.place(session)];
  if (which != kNone && now - shard.sessions[which].last > options_.idle) {
    end(which);
    which = kNone;
  }
  if (which == kNone) {
    if (shard.open() == most) end(shard.oldest);
    which = shard.add(session);
    seen.began = true;
  } else {
    shard.unlink(which);
    shard.link(which);
  }
  Shard::Session& found = shard.sessions[which];
  // Late by a little on another worker: time does not go back.
  found.last = std::max(found.last, now);
  if (text != 0) {
    const auto end_of = found.texts.end();
    seen.repeated = std::find(found.texts.begin(), end_of, text) != end_of;
    if (!seen.repeated) found.texts[found.questions % kRemembered] = text;
  }
  ++found.questions;
  return seen;
}

void Sessions::sweep(WallTime now) {
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    while (shard->oldest != kNone && now - shard->sessions[shard->oldest].last > options_.idle) {
      ended_(shard->sessions[shard->oldest].questions);
      shard->remove(shard->oldest);
    }
  }
}

std::size_t Sessions::open() const {
  std::size_t sum = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    sum += shard->open();
  }
  return sum;
}

}  // namespace penstock::engagement
