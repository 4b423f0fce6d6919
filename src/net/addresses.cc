#include "net/addresses.h"

#include <algorithm>

namespace penstock::net {

// A Lookup takes its answer by value.
// NOLINTBEGIN(performance-unnecessary-value-param)
void Addresses::system_lookup(Loop& loop, const std::string& host, std::uint16_t port,
                              Found found) {
  // NOLINTEND(performance-unnecessary-value-param)
  using Resolver = asio::ip::basic_resolver<asio::ip::tcp, Executor>;
  try {
    auto resolver = std::make_shared<Resolver>(loop.executor());
    Resolver& use = *resolver;
    use.async_resolve(host, std::to_string(port), asio::ip::resolver_base::numeric_service,
                      [resolver = std::move(resolver), found](
                          boost::system::error_code ec, const Resolver::results_type& results) {
                        Endpoints endpoints;
                        for (const auto& entry : results) endpoints.push_back(entry.endpoint());
                        found(ec, std::move(endpoints));
                      });
  } catch (const boost::system::system_error& error) {  // no thread to be had
    asio::post(loop.executor(), [found, ec = error.code()] { found(ec, {}); });
  }
}

Addresses::Addresses(Loop& loop, const std::string& host, std::uint16_t port, Lookup lookup,
                     Source of)
    : state_(new State{
          .loop = loop, .host = host, .port = port, .lookup = std::move(lookup), .of = of}) {
  boost::system::error_code ec;
  const auto literal = asio::ip::make_address(host, ec);
  if (!ec) {
    state_->known = {{literal, port}};
    state_->literal = true;
  }
}

void Addresses::look(const std::shared_ptr<State>& state) {
  if (state->looking) return;
  state->looking = true;
  state->lookup(state->loop, state->host, state->port,
                [state](boost::system::error_code ec, Endpoints found) {
                  keep(*state, ec, std::move(found));
                });
}

void Addresses::keep(State& state, boost::system::error_code ec, Endpoints found) {
  state.looking = false;
  state.doubted = false;
  state.fresh_until = Clock::now() + kFresh;
  state.failure = ec ? ec.message() : "it has no address";
  if (!ec && !found.empty()) {
    // What answered last stays in front, if it is still an address of the name.
    if (!state.known.empty()) {
      const auto last = std::find(found.begin(), found.end(), state.known.front());
      if (last != found.end()) std::rotate(found.begin(), last, last + 1);
    }
    state.known = std::move(found);
  }
  for (const Signal& signal : state.waiting) signal.wake();
  state.waiting.clear();
}

Task<Result<Endpoints>> Addresses::get(Deadline& deadline) {
  const std::shared_ptr<State> state = state_;
  if (state->literal) co_return state->known;
  const bool fresh = !state->doubted && Clock::now() < state->fresh_until;
  if (!fresh || state->known.empty()) look(state);
  const bool wait = state->looking && (state->known.empty() || state->doubted);
  if (wait) {
    const bool old = !state->known.empty();
    Deadline patience(deadline, old ? Clock::now() + kPatience : Time::max());
    // Kept alive by the list until it is woken, and here until it was waited for.
    const Signal signal = state->waiting.emplace_back(state->loop);
    Signal waiting = signal;
    Result<void> found = co_await waiting.wait(patience);
    if (deadline.over()) {
      co_return deadline.error("look up " + state->host, state->of);
    }
    (void)found;  // old addresses are better than none
  }
  if (state->known.empty()) {
    co_return Error{Kind::unreachable, state->of, true,
                    "the name " + state->host + " cannot be looked up: " + state->failure};
  }
  co_return state->known;
}

void Addresses::good(const asio::ip::tcp::endpoint& endpoint) {
  Endpoints& known = state_->known;
  if (!known.empty() && known.front() == endpoint) return;
  const auto at = std::find(known.begin(), known.end(), endpoint);
  if (at != known.end()) std::rotate(known.begin(), at, at + 1);
}

void Addresses::doubt() { state_->doubted = !state_->literal; }

}  // namespace penstock::net
