// How much may be asked: requests, tokens, requests at a time, money; of each key, tenant and model
// and of all together.
//
//   parties ──admit──> Ticket ──reserve──> (the engine's call) ──settle──> what was not needed
//                        │                                                  goes back
//                        └── its end frees the place among the requests in flight
//
// Every party must agree. What one of them took before another refused is given back.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "limit/account.h"
#include "limit/shared.h"

namespace penstock::limit {

// What the operator decided, as far as it does not hang on a key.
struct Rules {
  Limits standard;                                     // of each caller, by default
  Limits global;                                       // of all together
  std::vector<std::pair<std::string, Limits>> models;  // of all who ask a model
};

// Whom a request is counted to; null: nothing is limited there. In the order of Owner, which is the
// order in which they are asked.
using Parties = std::array<AccountPtr, kOwners>;

// Which limit refused, and when it would not.
struct Refused {
  Owner owner = Owner::global;
  What what = What::requests;
  std::string name;         // of the owner; empty for global
  std::uint64_t limit = 0;  // of requests, tokens, or requests at a time
  Duration per{};           // of the first two
  Nano money = 0;           // of spend
  Nano left = 0;            // of it
  Nano estimate = 0;        // what was asked for of it
  std::uint64_t asked = 0;  // tokens
  Duration retry_after{};   // max(): never
  // Nothing was refused: Redis has to be asked (by admit_shared).
  bool ask = false;
};

// What the answer's headers say: of the party with the least left.
struct Told {
  std::uint64_t limit = kUnlimitedNumber;  // kUnlimitedNumber: nothing to say
  std::uint64_t remaining = 0;
  Duration per{};
  Duration reset{};
  bool said() const { return limit != kUnlimitedNumber; }
};

// What a request holds. Moves; its end lets go.
class Ticket {
 public:
  Ticket() = default;
  Ticket(Ticket&& other) noexcept { *this = std::move(other); }
  Ticket& operator=(Ticket&& other) noexcept;
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;
  ~Ticket() { release(); }

  // What the call came to: the difference to what was reserved goes back, or is owed. Once; without
  // it all that was reserved goes back at the end.
  void settle(std::uint64_t tokens, Nano cost, Time now);
  // Ends it.
  void release();
  // Whether a call must reserve what it may come to.
  bool counts() const;
  // The first whose money is limited; null: nobody's is.
  const Account* budget() const;

  Told requests;
  Told tokens;

 private:
  friend class Limiter;
  // Kept alive while a reload puts others in their place.
  Parties accounts_{};
  bool inflight_ = false;  // a place is held with each that limits them
  bool places_ = false;    // also with those that are shared
  Duration waited_{};      // for Redis
  bool reserved_ = false;
  std::uint64_t reserved_tokens_ = 0;
  Nano reserved_cost_ = 0;
  std::int64_t day_ = 0;  // of the reservation
  std::int64_t month_ = 0;
  WallTime reserved_at_{};
};

class Limiter {
 public:
  // The sum that the ledger knows of a period.
  using Spent =
      std::function<Task<Result<Nano>>(Owner, std::string name, Period, WallTime, Deadline&)>;

  // Accounts are counted over all nodes from now on. Before the first account.
  void share(std::shared_ptr<Shared> shared) { shared_ = std::move(shared); }
  bool shared() const { return shared_ != nullptr; }

  // The account of an owner, over the state that this owner had before; null where nothing is
  // limited. Any thread.
  AccountPtr account(Owner owner, const std::string& name, const std::string& tenant,
                     const Limits& limits, Time now);

  // Takes a request, and a place among those in flight, from every party. Any thread. Where
  // accounts are shared: only what is known without asking Redis, for a request that ends at once;
  // it holds no place. `ask` in the refusal: it is not known.
  std::optional<Refused> admit(const Parties& parties, Time now, Ticket& ticket);
  // Takes what a call may come to. Any thread. Money of a period that was not seeded is refused
  // with `retry_after` zero: seed it first (`unseeded`).
  std::optional<Refused> reserve(Ticket& ticket, std::uint64_t tokens, Nano cost, Time now,
                                 WallTime wall);
  // The same two, where accounts are shared: by the loop of the deadline and its client, which may
  // be null. They wait for Redis no longer than Shared::wait in all; without Redis the node's share
  // decides, but for money: that is an Error then, and so is a ledger that cannot be asked.
  Task<std::optional<Refused>> admit_shared(Parties parties, redis::Client* client, Ticket& ticket,
                                            Deadline& deadline);
  Task<Result<std::optional<Refused>>> reserve_shared(Ticket& ticket, std::uint64_t tokens,
                                                      Nano cost, WallTime wall,
                                                      redis::Client* client, const Spent& spent,
                                                      Deadline& deadline);
  // The first party whose money is limited and not known yet.
  static const Account* unseeded(const Ticket& ticket, WallTime wall);

 private:
  // Owners that are remembered while nobody knows them, until a sweep finds that they owe nothing.
  static constexpr std::size_t kKept = 200'000;

  void sweep(Time now);
  Task<Result<std::optional<Refused>>> reserve_money(Ticket& ticket, std::size_t& taken, Nano cost,
                                                     WallTime wall, redis::Client* client,
                                                     const Spent& spent, Deadline& deadline);

  std::shared_ptr<Shared> shared_;

  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<State>> states_;
};

}  // namespace penstock::limit
