// A loop's time for long work of many, given out in pieces: one piece in each round of the loop.
//
//   for (;;) {
//     do_a_piece();                  // bounded
//     co_await turns.next();         // then whoever else waits here, and all else on the loop
//   }
//
// With Loop::turn() alone, a hundred who work at once do a hundred pieces between two looks at the
// sockets. Belongs to one loop.
#pragma once

#include <coroutine>
#include <deque>

#include "base/loop.h"

namespace penstock {

class Turns {
 public:
  explicit Turns(Loop& loop) : loop_(loop) {}
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  // Returns when it is the caller's turn: first come, first served.
  auto next() {
    struct Next {
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> who) const { turns.wait(who); }
      void await_resume() const { turns.pass(); }
      Turns& turns;
    };
    return Next{*this};
  }

 private:
  void wait(std::coroutine_handle<> who) {
    line_.push_back(who);
    if (!called_) call();
  }
  void pass() {
    called_ = false;
    if (!line_.empty()) call();
  }
  void call() {
    called_ = true;
    loop_.resume_soon(line_.front());
    line_.pop_front();
  }

  Loop& loop_;
  bool called_ = false;  // the one whose turn it is next
  std::deque<std::coroutine_handle<>> line_;
};

}  // namespace penstock
