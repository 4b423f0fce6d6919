// For tests: a loop, and coroutines run on it to their end.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <future>

#include "base/loop.h"

namespace penstock {

// A loop that runs until a coroutine has ended.
class LoopTest : public testing::Test {
 protected:
  // `body` is a coroutine without parameters: `run([&]() -> Task<void> { ... co_return; });`
  template <class Body>
  void run(const Body& body) {
    const auto whole = [](const Body* work, Loop* loop) -> Task<void> {
      co_await (*work)();
      loop->stop();
    };
    loop_.io().restart();
    loop_.spawn(whole(&body, &loop_));
    loop_.run();
  }

  // From a script: until the loop has read all that was sent, and acted on it.
  void settle() {
    std::promise<void> done;
    const std::function<void(int)> turn = [&](int left) {
      if (left == 0) return done.set_value();
      asio::post(loop_.executor(), [&turn, left] { turn(left - 1); });
    };
    turn(6);
    done.get_future().wait();
  }

  // In a coroutine: lets everything that is ready happen.
  Task<void> turns(int count = 6) {
    for (int i = 0; i < count; ++i) co_await loop_.turn();
  }

  Loop loop_;
};

}  // namespace penstock
