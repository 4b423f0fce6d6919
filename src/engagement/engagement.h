// What people make of the answers: how many there are, how long they stay, whether they ask the
// same again, whether they wait for the end, and what they say.
//
// One call a question, from any worker. Nobody's name is kept, and no text: users, sessions and
// questions are numbers, hashes that the gateway makes. All of it is bounded.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "engagement/active.h"
#include "engagement/sessions.h"
#include "observe/metrics.h"

namespace penstock::engagement {

struct Options {
  Sessions::Options sessions;
  bool shared = false;  // `exchange` is called, about each second
};

enum class Rating : std::uint8_t { up, down };
std::optional<Rating> parse_rating(std::string_view text);  // "up", "down"
std::string_view label_of(Rating rating);

// A hash of a user, a session or a question, never 0. `within` keeps equal ids of two tenants
// apart.
std::uint64_t hash_of(std::string_view within, std::string_view what);

class Engagement {
 public:
  // The registry must outlive it. Histograms are written to its last shard, under a mutex.
  Engagement(const Options& options, observe::Registry& registry);
  Engagement(const Engagement&) = delete;
  Engagement& operator=(const Engagement&) = delete;
  ~Engagement();

  struct Asked {
    std::uint64_t user = 0;  // 0: nobody was told apart; no active user, and a session only by id
    std::uint64_t session = 0;  // 0: none was given, and the user's own is meant
    std::uint64_t text = 0;     // 0: it is not known what was asked
    WallTime at{};
  };
  // Any thread.
  void asked(const Asked& question);
  // A client left before its answer's end.
  void abandoned();
  void rated(Rating rating);
  // Ends sessions that are over; to be called now and then where no question comes.
  void sweep(WallTime now);

  std::uint64_t users(Active::Window window, WallTime now) const;
  std::uint64_t sessions() const;
  std::uint64_t repeats() const;

  // As Active::exchange.
  Task<Result<void>> exchange(Shared& shared, WallTime now, Deadline& deadline);

 private:
  struct State;
  std::shared_ptr<State> state_;  // the metrics' too
};

}  // namespace penstock::engagement
