// A question from one loop to another thread, and the way of its answer back.
//
//   loop that asks                        thread that answers
//   Call::wait ── suspended ──┐           job.call->finish(result)
//                             └── woken ──────────┘
//
// Either side may end first. Who asks leaves when its deadline is over or its coroutine is
// destroyed; from then on the other side touches neither it nor its loop, which may be gone too.
#pragma once

#include <atomic>
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

// The duty to answer a call, kept also where whoever has it is destroyed before. Counts in `open`
// while it is there.
template <class T>
class Promise {
 public:
  Promise(CallPtr<T> call, std::atomic<unsigned>& open, Error otherwise)
      : call_(std::move(call)), open_(open), otherwise_(std::move(otherwise)) {
    ++open_;
  }
  Promise(const Promise&) = delete;
  Promise& operator=(const Promise&) = delete;
  ~Promise() {
    if (!kept_) call_->finish(otherwise_);
    --open_;
  }

  Time until() const { return call_->until(); }
  bool left() const { return call_->left(); }
  // Once.
  void keep(Result<T> result) {
    kept_ = true;
    call_->finish(std::move(result));
  }

 private:
  const CallPtr<T> call_;
  std::atomic<unsigned>& open_;
  const Error otherwise_;
  bool kept_ = false;
};

template <class T>
using PromisePtr = std::shared_ptr<Promise<T>>;

}  // namespace penstock::store
