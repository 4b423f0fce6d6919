#include "base/deadline.h"

#include <gtest/gtest.h>

#include "base/signal.h"
#include "base/sleep.h"

namespace penstock {
namespace {

// Runs one coroutine to its end on a loop.
template <class Work>
void run(Work work) {
  Loop loop;
  bool ended = false;
  const auto whole = [](Work* task, Loop* on, bool* end) -> Task<void> {
    co_await (*task)(*on);
    *end = true;
    on->stop();
  };
  asio::post(loop.executor(), [&] { loop.spawn(whole(&work, &loop, &ended)); });
  loop.run();
  EXPECT_TRUE(ended);
}

// True if it slept to its end.
Task<bool> sleep(Deadline& deadline) {
  co_await sleep_until(Clock::now() + 60s, deadline);
  co_return !deadline.over();
}

TEST(Deadline, InterruptsTheWaitWhenItsTimeComes) {
  run([](Loop& loop) -> Task<void> {
    Deadline deadline(loop, Clock::now() + 20ms);
    const bool slept = co_await sleep(deadline);
    EXPECT_FALSE(slept);
    EXPECT_EQ(deadline.why(), Why::time);
    EXPECT_EQ(deadline.error("x").kind, Kind::timeout);
  });
}

TEST(Deadline, EndsTheChildWhenTheParentIsCalledOff) {
  run([](Loop& loop) -> Task<void> {
    Deadline parent(loop, Time::max());
    Deadline child(parent, Clock::now() + 60s);
    const auto leave = [&parent] { parent.call_off(Why::left); };
    asio::post(loop.executor(), leave);
    const bool slept = co_await sleep(child);
    EXPECT_FALSE(slept);
    EXPECT_EQ(child.why(), Why::left);
    EXPECT_EQ(child.error("x").source, Source::client);
  });
}

TEST(Deadline, AChildThatIsLateLeavesItsParentGoingOn) {
  run([](Loop& loop) -> Task<void> {
    Deadline parent(loop, Time::max());
    {
      Deadline child(parent, Clock::now() + 20ms);
      const bool slept = co_await sleep(child);
      EXPECT_FALSE(slept);
      EXPECT_EQ(child.why(), Why::time);
    }
    EXPECT_FALSE(parent.over());
    Deadline other(parent, Time::max());
    EXPECT_FALSE(other.over());
  });
}

TEST(Deadline, TheFirstReasonStays) {
  Loop loop;
  Deadline deadline(loop, Time::max());
  deadline.call_off(Why::left);
  deadline.call_off(Why::draining);
  EXPECT_EQ(deadline.why(), Why::left);
}

TEST(Signal, KeepsAWakeThatComesBeforeTheWait) {
  run([](Loop& loop) -> Task<void> {
    Signal signal(loop);
    signal.wake();
    Deadline deadline(loop, Clock::now() + 5s);
    const Result<void> woken = co_await signal.wait(deadline);
    EXPECT_TRUE(woken.ok());
  });
}

TEST(Signal, WakesFromAnotherThread) {
  run([](Loop& loop) -> Task<void> {
    Signal signal(loop);
    Deadline deadline(loop, Clock::now() + 5s);
    std::thread other([&signal] { signal.wake(); });
    const Result<void> woken = co_await signal.wait(deadline);
    other.join();
    EXPECT_TRUE(woken.ok());
  });
}

TEST(Signal, GivesUpWithItsDeadline) {
  run([](Loop& loop) -> Task<void> {
    Signal signal(loop);
    Deadline deadline(loop, Clock::now() + 20ms);
    const Result<void> woken = co_await signal.wait(deadline);
    EXPECT_FALSE(woken.ok());
  });
}

}  // namespace
}  // namespace penstock
