#include "base/task.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/loop.h"

namespace penstock {
namespace {

Task<int> now(int value) { co_return value; }

Task<int> after(Waiter& waiter, int value) {
  co_await waiter;
  co_return value;
}

TEST(Task, RunsInTheCallThatAwaitsItUntilItMustWait) {
  Loop loop;
  int got = 0;
  const auto work = [](int* to) -> Task<void> {
    const int value = co_await now(7);
    *to = value;
  };
  loop.spawn(work(&got));
  EXPECT_EQ(got, 7);
}

TEST(Task, TheEndOfTheLeafResumesTheWholeChain) {
  Loop loop;
  Waiter waiter;
  std::string log;
  const auto middle = [](Waiter* on, std::string* to) -> Task<std::string> {
    const int value = co_await after(*on, 3);
    *to += "middle ";
    co_return std::to_string(value);
  };
  const auto top = [](auto inner, Waiter* on, std::string* to) -> Task<void> {
    const std::string text = co_await inner(on, to);
    *to += "top " + text;
  };
  loop.spawn(top(middle, &waiter, &log));
  EXPECT_EQ(log, "");
  ASSERT_TRUE(waiter.waited_for());
  waiter.resume();
  EXPECT_EQ(log, "middle top 3");
  EXPECT_FALSE(waiter.waited_for());
}

TEST(Task, AMillionChildrenThatEndAtOnceNeedNoStack) {
  Loop loop;
  std::int64_t sum = 0;
  const auto work = [](std::int64_t* to) -> Task<void> {
    for (int i = 0; i < 1'000'000; ++i) {
      const int value = co_await now(1);
      *to += value;
    }
  };
  loop.spawn(work(&sum));
  EXPECT_EQ(sum, 1'000'000);
}

TEST(Task, TurnsOfTheLoopNeedNoStackEither) {
  Loop loop;
  int turns = 0;
  const auto work = [](Loop* on, int* to) -> Task<void> {
    for (; *to < 100'000; ++*to) co_await on->turn();
    on->stop();
  };
  loop.spawn(work(&loop, &turns));
  loop.run();
  EXPECT_EQ(turns, 100'000);
}

TEST(Task, WhatHasNotEndedGoesWithItsLoopTheLeafFirst) {
  std::string log;
  struct Noted {
    ~Noted() { *to += name; }
    std::string* to;
    const char* name;
  };
  Waiter waiter;
  {
    Loop loop;
    const auto leaf = [](Waiter* on, std::string* to) -> Task<void> {
      const Noted noted{to, "leaf "};
      co_await *on;
    };
    const auto root = [](auto inner, Waiter* on, std::string* to) -> Task<void> {
      const Noted noted{to, "root "};
      co_await inner(on, to);
    };
    loop.spawn(root(leaf, &waiter, &log));
    loop.spawn(root(leaf, &waiter, &log));
    EXPECT_EQ(log, "");
  }
  EXPECT_EQ(log, "leaf root leaf root ");
}

TEST(Task, AResultIsMovedNeverCopied) {
  Loop loop;
  int got = 0;
  const auto make = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(5); };
  const auto work = [](auto maker, int* to) -> Task<void> {
    const std::unique_ptr<int> value = co_await maker();
    *to = *value;
  };
  loop.spawn(work(make, &got));
  EXPECT_EQ(got, 5);
}

TEST(Waiter, AResumeSoonComesFromTheLoopItself) {
  Loop loop;
  Waiter waiter;
  std::string log;
  const auto work = [](Waiter* on, Loop* in, std::string* to) -> Task<void> {
    co_await *on;
    *to += "resumed";
    in->stop();
  };
  loop.spawn(work(&waiter, &loop, &log));
  loop.resume_soon(waiter);
  EXPECT_EQ(log, "");
  EXPECT_FALSE(waiter.waited_for());
  loop.run();
  EXPECT_EQ(log, "resumed");
}

}  // namespace
}  // namespace penstock
