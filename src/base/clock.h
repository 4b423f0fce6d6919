// The two clocks. Steady time measures and waits; wall time is only shown and stored.
// Time is a value passed in: only loops read a clock.
#pragma once

#include <chrono>

namespace penstock {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Duration = Clock::duration;  // nanoseconds
using WallTime = std::chrono::system_clock::time_point;

using namespace std::chrono_literals;

}  // namespace penstock
