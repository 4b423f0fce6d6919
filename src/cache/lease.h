// One engine call for equal questions, on all nodes.
//
//   take ──> lead    a lease in Redis, 3 s, renewed each second; ends with the call
//        ──> stored  somebody was faster: the answer is there
//        ──> follow  another node leads: its answer is read as it comes (live.h), or, where
//                    it tells none, the lease is taken again when it has changed
//
// That a lease ends is told by tracking, as is that another node wants the answer while it is made:
// nobody polls, but for a look each second in case something was lost. A leader that dies lets its
// lease run out, and one of those who follow leads. Without Redis each node asks for itself.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/signal.h"
#include "cache/flight.h"
#include "cache/key.h"
#include "redis/client.h"

namespace penstock::cache {

struct LiveWish;

// One a worker; belongs to its loop. The client must tell `changed` of what it hears.
class Leases : public std::enable_shared_from_this<Leases> {
 public:
  static constexpr Duration kLease = 3s;
  static constexpr Duration kRenew = 1s;
  static constexpr Duration kWanted = 3s;  // a follower's wish, which it says again each second
  static constexpr Duration kPoll = 50ms;  // where nobody tells of changes

  enum class Turn : std::uint8_t { lead, stored, follow };

  Leases(Loop& loop, std::shared_ptr<redis::Client> client, bool tracking);
  Leases(const Leases&) = delete;
  Leases& operator=(const Leases&) = delete;

  // What a leader holds. Its end gives the lease back. `wanted` is called while it lives when
  // another node wants the answer, with the wish that goes on to say so; again when that was let go
  // of.
  class Lead {
   public:
    using Wanted = std::function<void(std::shared_ptr<LiveWish> wish)>;
    Lead(std::shared_ptr<Leases> leases, const Key& key, const std::string& id, Wanted wanted);
    Lead(const Lead&) = delete;
    Lead& operator=(const Lead&) = delete;
    ~Lead();

   private:
    struct State;
    std::shared_ptr<State> state_;
    friend class Leases;
  };

  // `id`: the lease's, another each time (live.h has it too). `unwanted`: the head of a value that
  // is there and will not do; empty: none is known.
  Task<Result<Turn>> take(Key key, std::string id, std::string unwanted, Deadline& patience);
  // After Turn::follow: the leader's answer goes into the flight as it comes.
  enum class Followed : std::uint8_t {
    nothing,  // none was told: take again
    whole,    // the flight has all of it, and is not finished yet
    broken,   // the flight has a part, and the rest will not come
  };
  // Whether what was asked for when this purge was the last one is nobody's any more.
  using Outdated = std::function<bool(std::uint64_t purge)>;
  Task<Followed> follow(Key key, std::string scope, Outdated outdated, FlightPtr flight,
                        Deadline& deadline);

  static std::string lease_name(const Key& key);

  // Of any key, as its connection tells; empty: of all.
  void changed(std::string_view name);

 private:
  class Watch {  // listens while it lives
   public:
    Watch(Leases& leases, const std::string& name, const Signal& signal)
        : leases_(leases), at_(leases.watchers_.emplace(name, &signal)) {}
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() { leases_.watchers_.erase(at_); }

   private:
    Leases& leases_;
    const std::unordered_multimap<std::string, const Signal*>::iterator at_;
  };

  static std::string wanted_name(const Key& key);
  static Task<bool> wanted(std::shared_ptr<Lead::State> state);
  static Task<void> hold(std::shared_ptr<Lead::State> state);

  Loop& loop_;
  const std::shared_ptr<redis::Client> client_;  // outlives its user: leases are given back
  const bool tracking_;
  std::unordered_multimap<std::string, const Signal*> watchers_;
};

}  // namespace penstock::cache
