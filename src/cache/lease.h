// One engine call for equal questions, on all nodes.
//
//   take ──> lead    a lease in Redis, 3 s, renewed each second; ends with the call
//        ──> stored  somebody was faster: the answer is there
//        ──> follow  another node leads: wait until its lease has changed, then take again
//
// That a lease ends is told by tracking: nobody polls, but for a look every two seconds in case
// something was lost. A leader that dies lets its lease run out, and one of those who follow leads.
// Without Redis each node asks for itself.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/signal.h"
#include "cache/key.h"
#include "redis/client.h"

namespace penstock::cache {

// One a worker; belongs to its loop. The client must tell `changed` of what it hears.
class Leases : public std::enable_shared_from_this<Leases> {
 public:
  static constexpr Duration kLease = 3s;
  static constexpr Duration kRenew = 1s;
  static constexpr Duration kLook = 2s;
  static constexpr Duration kPoll = 50ms;  // where nobody tells of changes

  enum class Turn : std::uint8_t { lead, stored, follow };

  // `owner`: another on each worker of each node.
  Leases(Loop& loop, std::shared_ptr<redis::Client> client, bool tracking, std::string owner);
  Leases(const Leases&) = delete;
  Leases& operator=(const Leases&) = delete;

  // What a leader holds. Its end gives the lease back.
  class Lead {
   public:
    Lead(std::shared_ptr<Leases> leases, const Key& key);
    Lead(const Lead&) = delete;
    Lead& operator=(const Lead&) = delete;
    ~Lead();

   private:
    struct State;
    std::shared_ptr<State> state_;
    friend class Leases;
  };

  // `unwanted`: the head of a value that is there and will not do; empty: none is known.
  Task<Result<Turn>> take(Key key, std::string unwanted, Deadline& patience);
  // After `follow`: returns when the lease has changed, or it is time to look again.
  Task<void> wait(Key key, Deadline& deadline);

  // Of any key, as its connection tells; empty: of all.
  void changed(std::string_view name);

 private:
  class Watch;
  static Task<void> hold(std::shared_ptr<Lead::State> state);

  Loop& loop_;
  const std::shared_ptr<redis::Client> client_;  // outlives its user: leases are given back
  const bool tracking_;
  const std::string owner_;
  std::unordered_multimap<std::string, const Signal*> watchers_;
};

}  // namespace penstock::cache
