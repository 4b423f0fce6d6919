// Who is in a session, and what was asked in it: bounded, whatever comes.
//
// A session is that of the id which the client gave, or else the questions of one user that are
// less than half an hour apart. It ends when nothing has come for that long, or when there are too
// many and it is the one that was quiet for longest. In shards, each with a mutex of its own, a
// table and a list by last use; nothing is allocated once a shard is full.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"

namespace penstock::engagement {

class Sessions {
 public:
  struct Options {
    std::size_t most = 50'000;
    Duration idle = 30min;
  };
  // Told, under a shard's mutex, how many questions a session had that has ended.
  using Ended = std::function<void(std::uint64_t questions)>;

  Sessions(const Options& options, Ended ended);
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;
  ~Sessions();

  struct Seen {
    bool began = false;     // the question is the first of a session
    bool repeated = false;  // the session has had an equal one, among its last kRemembered
  };
  // `text`: a hash of what was asked; 0 is equal to nothing.
  Seen asked(std::uint64_t session, std::uint64_t text, WallTime now);
  // Ends those that nothing comes of any more.
  void sweep(WallTime now);
  std::size_t open() const;

  static constexpr std::size_t kRemembered = 16;  // different questions of a session

 private:
  struct Shard;
  const Options options_;
  const Ended ended_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace penstock::engagement
