// A question from one loop to another thread, and the way of its answer back.
//
//   loop that asks                        thread that answers
//   Call::wait ── suspended ──┐           job.call->finish(result)
//                             └── woken ──────────┘
//
// Either side may end first. Who asks leaves when its deadline is over or its coroutine is
// destroyed; from then on the other side touches neither it nor its loop, which may be gone too.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/signal.h"

namespace penstock::store {

template <class T>
class Call {
 public:
  explicit Call(Deadline& deadline) : until_(deadline.at()), signal_(deadline.loop()) {}

  // Until when an answer is of use.
  Time until() const { return until_; }
  // Nobody waits any more. Any thread.
  bool left() const {
    const std::lock_guard lock(mutex_);
    return left_;
  }
  // Once, from any thread.
  void finish(Result<T> result) {
    const std::lock_guard lock(mutex_);
    if (left_) return;
    answer_.emplace(std::move(result));
    signal_.wake();  // under the lock: the loop that waits is there until it has left
  }

  static Task<Result<T>> wait(std::shared_ptr<Call> call, Deadline& deadline) {
    const Leave leave(*call);
    for (;;) {
      std::optional<Result<T>> answer = call->take();
      if (answer) co_return *std::move(answer);
      Result<void> woken = co_await call->signal_.wait(deadline);
      if (!woken) co_return deadline.error("the store", Source::store);
    }
  }

 private:
  struct Leave {
    explicit Leave(Call& from) : call(from) {}
    Leave(const Leave&) = delete;
    Leave& operator=(const Leave&) = delete;
    ~Leave() {
      const std::lock_guard lock(call.mutex_);
      call.left_ = true;
    }
    Call& call;
  };

  std::optional<Result<T>> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(answer_, std::nullopt);
  }

  const Time until_;
  Signal signal_;
  mutable std::mutex mutex_;
  bool left_ = false;
  std::optional<Result<T>> answer_;
};

template <class T>
using CallPtr = std::shared_ptr<Call<T>>;

}  // namespace penstock::store
