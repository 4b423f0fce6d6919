#include "base/loop.h"

namespace penstock {

// One thread runs the loop; locking stays on in the scheduler for `post` from other threads.
Loop::Loop(unsigned index)
    : index_(index),
      alarms_(Clock::now()),
      io_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      timer_(io_.get_executor()) {}

Loop::~Loop() = default;

void Loop::set(Alarm& alarm, Time at) {
  alarms_.set(alarm, at);
  // A slot's worth of slack keeps a busy loop from re-arming its timer for each alarm.
  if (at < armed_ - AlarmWheel::kSlot) arm(at);
}

void Loop::arm(Time at) {
  armed_ = at;
  timer_.expires_at(at);
  timer_.async_wait([this](boost::system::error_code ec) {
    if (ec) return;  // moved to an earlier time: that wait is under way
    armed_ = Time::max();
    alarms_.advance(Clock::now());
    const Time next = alarms_.next();
    if (next < armed_) arm(next);
  });
}

void Loop::run() {
  const auto work = asio::make_work_guard(io_);
  io_.run();
}

}  // namespace penstock
