// A coroutine on a loop's thread. It runs in the very call that awaits it, until it must wait.
//
//   Task<Result<Bytes>> read(Deadline& deadline);
//   Result<Bytes> bytes = co_await read(deadline);
//
//   awaits a child that ends at once:   one call, nothing is suspended
//   awaits a child that waits:          the whole chain is left; what the leaf waits for resumes
//   the
//                                       leaf, and each end resumes the parent
//
// A Task owns its frame: destroying it destroys what it awaits, from the leaf upwards. Plain code
// hands one to `Loop::spawn`. Nothing here locks or knows a scheduler; that is what makes it
// several times cheaper than Asio's awaitable (ADR 10).
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

#include "base/frames.h"

namespace penstock {

template <class T>
class Task;

namespace detail {

// The frames of the loop that a coroutine runs on, found among its parameters: what waits takes a
// Deadline or what holds one, and that knows its loop. Null: it has none, and its frame comes from
// the heap.
inline Frames* frames_of() { return nullptr; }
template <class First, class... Rest>
Frames* frames_of(First& first, Rest&... rest) {
  if constexpr (requires { first.loop().frames(); }) {
    return &first.loop().frames();
  } else if constexpr (requires { first.deadline.loop().frames(); }) {
    return &first.deadline.loop().frames();
  } else {
    return frames_of(rest...);
  }
}

class PromiseBase {
 public:
  // A frame stands behind the place it came from.
  template <class... Parameters>
  static void* operator new(std::size_t size, Parameters&... parameters) {
    Frames* const frames = frames_of(parameters...);
    const std::size_t whole = size + kBefore;
    void* const memory = frames != nullptr ? frames->take(whole) : ::operator new(whole);
    *static_cast<Frames**>(memory) = frames;
    return static_cast<std::byte*>(memory) + kBefore;
  }
  static void operator delete(void* frame, std::size_t size) {
    void* const memory = static_cast<std::byte*>(frame) - kBefore;
    if (Frames* const frames = *static_cast<Frames**>(memory)) {
      frames->give(memory, size + kBefore);
    } else {
      ::operator delete(memory);
    }
  }

  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      // Without a parent it ended within the call that began it, which sees that for itself. The
      // parent may destroy this frame: nothing is touched after it.
      if (const std::coroutine_handle<> parent = ended.promise().parent_) parent.resume();
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  // Nothing in a coroutine throws: a broken invariant.
  void unhandled_exception() const noexcept { std::terminate(); }
  void set_parent(std::coroutine_handle<> parent) { parent_ = parent; }

 private:
  static constexpr std::size_t kBefore = alignof(std::max_align_t);

  std::coroutine_handle<> parent_;  // set once it has suspended for the first time
};

template <class T>
class Promise : public PromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  template <class U = T>
  requires std::constructible_from<T, U&&>
  void return_value(U&& value) { value_.emplace(std::forward<U>(value)); }
  T take() { return *std::move(value_); }

 private:
  std::optional<T> value_;
};

template <>
class Promise<void> : public PromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;

  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (frame_) frame_.destroy();
  }

  // To be awaited once.
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> parent) {
    frame_.resume();
    if (frame_.done()) return false;
    frame_.promise().set_parent(parent);
    return true;
  }
  T await_resume() { return frame_.promise().take(); }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;
};

template <class T>
Task<T> detail::Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}

inline Task<void> detail::Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

// Where one coroutine waits for something to happen.
class Waiter {
 public:
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> who) noexcept { who_ = who; }
  void await_resume() const noexcept {}

  bool waited_for() const { return who_ != nullptr; }
  // Goes on with who waits, in this very call. Only from the loop itself, with nothing half done.
  // REQUIRES: waited_for().
  void resume() { take().resume(); }
  // For a loop that goes on with it later; it waits no longer here.
  std::coroutine_handle<> take() { return std::exchange(who_, nullptr); }

 private:
  std::coroutine_handle<> who_;
};

}  // namespace penstock
