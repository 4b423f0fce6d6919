// Where an origin is: the addresses of its name, looked up beside the calls, not in their way.
//
// Known addresses are used while they are looked up again; those of the last good look-up stay
// in use when the name server is away. A look-up has a thread of its own (getaddrinfo blocks and
// cannot be called off), so nobody waits for it longer than a deadline allows, and all who need
// it wait for the same one.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/loop.h"
#include "base/signal.h"

namespace penstock::net {

using Endpoints = std::vector<asio::ip::tcp::endpoint>;

// Belongs to a loop.
class Addresses {
 public:
  static constexpr Duration kFresh = 10s;       // no look-up again within this
  static constexpr Duration kPatience = 500ms;  // for a look-up where there are old addresses

  using Found = std::function<void(boost::system::error_code, Endpoints)>;
  // Begins a look-up; calls `found` once, later, on the loop.
  using Lookup =
      std::function<void(Loop&, const std::string& host, std::uint16_t port, Found found)>;
  static void system_lookup(Loop& loop, const std::string& host, std::uint16_t port, Found found);

  // `of`: whose fault it is when there are none.
  Addresses(Loop& loop, const std::string& host, std::uint16_t port, Lookup lookup = system_lookup,
            Source of = Source::engine);

  // At least one. An Error (unreachable) if the name was never found.
  Task<Result<Endpoints>> get(Deadline& deadline);

  // It answered: it is the first to be tried from now on.
  void good(const asio::ip::tcp::endpoint& endpoint);
  // None of them answered: the next get() waits a moment for a look-up.
  void doubt();

 private:
  // Outlives the Addresses while a look-up is under way.
  struct State {
    Loop& loop;
    std::string host;
    std::uint16_t port;
    Lookup lookup;
    Source of;
    Endpoints known{};
    Time fresh_until = Time::min();
    bool literal = false;
    bool doubted = false;
    bool looking = false;
    std::string failure{};  // of the last look-up
    std::deque<Signal> waiting{};
  };
  static void look(const std::shared_ptr<State>& state);
  static void keep(State& state, boost::system::error_code ec, Endpoints found);

  std::shared_ptr<State> state_;
};

}  // namespace penstock::net
