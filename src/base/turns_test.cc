#include "base/turns.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock {
namespace {

Task<void> work(Turns& turns, char name, int pieces, std::string& done) {
  for (int i = 0; i < pieces; ++i) {
    co_await turns.next();
    done += name;
  }
}

// Notes each round of the loop, until it is told to stop.
Task<void> rounds(Loop& loop, std::string& done, std::size_t until) {
  while (done.size() < until) {
    co_await loop.turn();
    done += '.';
  }
  loop.stop();
}

TEST(Turns, GivesOnePieceARoundToEachInTurn) {
  Loop loop;
  Turns turns(loop);
  std::string done;
  loop.spawn(work(turns, 'a', 3, done));
  loop.spawn(work(turns, 'b', 2, done));
  loop.spawn(work(turns, 'c', 1, done));
  loop.spawn(rounds(loop, done, 20));
  loop.run();
  std::string order;
  bool alone = true;
  for (std::size_t i = 0; i < done.size(); ++i) {
    if (done[i] == '.') continue;
    order += done[i];
    alone = alone && (i == 0 || done[i - 1] == '.');
  }
  EXPECT_EQ(order, "abcaba");
  EXPECT_TRUE(alone) << "two pieces in one round: " << done;
}

TEST(Turns, MayBeTakenAgainWhenNobodyWaits) {
  Loop loop;
  Turns turns(loop);
  std::string done;
  loop.spawn(work(turns, 'a', 1, done));
  loop.spawn(rounds(loop, done, 5));
  loop.run();
  loop.io().restart();
  done.clear();
  loop.spawn(work(turns, 'b', 2, done));
  loop.spawn(rounds(loop, done, 5));
  loop.run();
  EXPECT_EQ(std::count(done.begin(), done.end(), 'b'), 2);
}

}  // namespace
}  // namespace penstock
