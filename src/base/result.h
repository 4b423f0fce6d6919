// A value, or the reason why there is none.
//
// Everything that can fail for a reason outside the program returns a Result; exceptions stay at
// start, and a broken invariant aborts. The network is never an invariant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace penstock {

// What went wrong, as far as the next decision depends on it.
enum class Kind : std::uint8_t {
  invalid,      // the input does not mean anything: it will fail again
  too_large,    // over a configured bound
  not_found,    // no such thing
  refused,      // the other side answered: no
  unreachable,  // no connection: nothing was sent
  broken,       // the connection ended or the protocol was violated after something was sent
  timeout,      // the deadline passed
  cancelled,    // nobody wants the result any more
  exhausted,    // a bound of our own is reached: a pool, a queue
  internal,     // a fault of the program or its machine
};

enum class Source : std::uint8_t { client, gateway, engine, store };

struct [[nodiscard]] Error {
  Kind kind = Kind::internal;
  Source source = Source::gateway;
  bool retry = false;  // nothing was sent, or the other side said that it may be tried again
  std::string detail;  // one sentence that names the thing; never a secret, never question text
};

// Wraps an E so that a Result<T, E> can be made of it even where T could be made of E too.
template <class E>
struct Failure {
  E error;
};
template <class E>
Failure(E) -> Failure<E>;

template <class T, class E = Error>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Failure<E> failure) : state_(std::in_place_index<1>, std::move(failure.error)) {}
  Result(E error) requires(!std::is_same_v<T, E>)
      : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // REQUIRES: ok().
  T& operator*() & { return *std::get_if<0>(&state_); }
  const T& operator*() const& { return *std::get_if<0>(&state_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }

  // REQUIRES: !ok().
  E& error() & { return *std::get_if<1>(&state_); }
  const E& error() const& { return *std::get_if<1>(&state_); }
  E&& error() && { return std::move(*std::get_if<1>(&state_)); }

 private:
  std::variant<T, E> state_;
};

template <class E>
class [[nodiscard]] Result<void, E> {
 public:
  Result() = default;
  Result(E error) : error_(std::move(error)) {}
  Result(Failure<E> failure) : error_(std::move(failure.error)) {}

  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  // REQUIRES: !ok().
  E& error() & { return *error_; }
  const E& error() const& { return *error_; }
  E&& error() && { return std::move(*error_); }

 private:
  std::optional<E> error_;
};

}  // namespace penstock
