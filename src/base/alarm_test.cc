#include "base/alarm.h"

#include <gtest/gtest.h>

#include <vector>

namespace penstock {
namespace {

const Time kStart{1000s};

struct Bell final : Alarm {
  explicit Bell(std::vector<Time>& rung) : rung_(rung) {}
  void ring(Time now) override { rung_.push_back(now); }
  std::vector<Time>& rung_;
};

TEST(AlarmWheel, RingsOnceAtItsTimeAndNotBefore) {
  AlarmWheel wheel(kStart);
  std::vector<Time> rung;
  Bell bell(rung);
  wheel.set(bell, kStart + 25ms);
  wheel.advance(kStart + 24ms);
  EXPECT_TRUE(rung.empty());
  wheel.advance(kStart + 35ms);
  EXPECT_EQ(rung.size(), 1u);
  wheel.advance(kStart + 10s);
  EXPECT_EQ(rung.size(), 1u);
  EXPECT_EQ(wheel.next(), Time::max());
}

TEST(AlarmWheel, AnAlarmPostponedWhileItSitsInItsSlotRingsAtTheLaterTime) {
  AlarmWheel wheel(kStart);
  std::vector<Time> rung;
  Bell bell(rung);
  wheel.set(bell, kStart + 50ms);
  wheel.set(bell, kStart + 500ms);
  wheel.advance(kStart + 100ms);
  EXPECT_TRUE(rung.empty());
  wheel.advance(kStart + 510ms);
  EXPECT_EQ(rung.size(), 1u);
}

TEST(AlarmWheel, AnAlarmMovedToAnEarlierTimeRingsThen) {
  AlarmWheel wheel(kStart);
  std::vector<Time> rung;
  Bell bell(rung);
  wheel.set(bell, kStart + 10s);
  wheel.set(bell, kStart + 30ms);
  wheel.advance(kStart + 40ms);
  EXPECT_EQ(rung.size(), 1u);
}

TEST(AlarmWheel, AnAlarmManyTurnsAheadRingsInItsTurn) {
  AlarmWheel wheel(kStart);
  std::vector<Time> rung;
  Bell bell(rung);
  wheel.set(bell, kStart + 600s);
  for (Time now = kStart; now < kStart + 599s; now += 3s) wheel.advance(now);
  EXPECT_TRUE(rung.empty());
  wheel.advance(kStart + 601s);
  EXPECT_EQ(rung.size(), 1u);
}

TEST(AlarmWheel, ALongSleepRingsAllThatCameDueMeanwhile) {
  AlarmWheel wheel(kStart);
  std::vector<Time> rung;
  std::vector<std::unique_ptr<Bell>> bells;
  for (int i = 0; i < 1000; ++i) {
    bells.push_back(std::make_unique<Bell>(rung));
    wheel.set(*bells.back(), kStart + i * 7ms);
  }
  wheel.advance(kStart + 1h);
  EXPECT_EQ(rung.size(), 1000u);
}

TEST(AlarmWheel, ADestroyedAlarmHasLeftTheWheel) {
  AlarmWheel wheel(kStart);
  std::vector<Time> rung;
  {
    Bell bell(rung);
    wheel.set(bell, kStart + 25ms);
  }
  wheel.advance(kStart + 1s);
  EXPECT_TRUE(rung.empty());
}

// What a connection's time-out does: closes another connection whose time has come as well.
TEST(AlarmWheel, ARingingAlarmMayDestroyAnotherThatIsDue) {
  struct Killer final : Alarm {
    void ring(Time) override { victim.reset(); }
    std::unique_ptr<Bell> victim;
  };
  AlarmWheel wheel(kStart);
  std::vector<Time> rung;
  Killer killer;
  killer.victim = std::make_unique<Bell>(rung);
  wheel.set(killer, kStart + 20ms);
  wheel.set(*killer.victim, kStart + 20ms);
  wheel.advance(kStart + 1s);
  EXPECT_TRUE(rung.empty());
}

}  // namespace
}  // namespace penstock
