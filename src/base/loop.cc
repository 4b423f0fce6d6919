#include "base/loop.h"

namespace penstock {

// The promise of a coroutine that was spawned, and its place among the loop's.
struct Loop::Root {
  Root(Loop& on, const Task<void>&) : loop(on), next(on.roots_) {
    if (next != nullptr) next->previous = this;
    loop.roots_ = this;
  }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;
  ~Root() {
    (previous != nullptr ? previous->next : loop.roots_) = next;
    if (next != nullptr) next->previous = previous;
  }

  Spawned get_return_object() const noexcept;
  std::suspend_never initial_suspend() const noexcept { return {}; }
  std::suspend_never final_suspend() const noexcept { return {}; }
  void return_void() const noexcept {}
  void unhandled_exception() const noexcept { std::terminate(); }

  Loop& loop;
  Root* next;
  Root* previous = nullptr;
};

struct Loop::Spawned {
  using promise_type = Root;
};

Loop::Spawned Loop::Root::get_return_object() const noexcept { return {}; }

Loop::Spawned Loop::own(Loop&, Task<void> task) { co_await task; }

// One thread runs the loop; locking stays on in the scheduler for `post` from other threads.
Loop::Loop(unsigned index)
    : index_(index),
      alarms_(Clock::now()),
      io_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      timer_(io_.get_executor()),
      poller_(io_.get_executor()) {}

Loop::~Loop() {
  while (roots_ != nullptr) std::coroutine_handle<Root>::from_promise(*roots_).destroy();
}

void Loop::spawn(Task<void> task) { own(*this, std::move(task)); }

void Loop::resume_soon(std::coroutine_handle<> who) {
  if (ready_.empty()) asio::post(io_, [this] { run_ready(); });
  ready_.push_back(who);
}

void Loop::run_ready() {
  // Who is resumed may make others ready: they have the next turn.
  running_.swap(ready_);
  for (const std::coroutine_handle<> who : running_) who.resume();
  running_.clear();
}

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
  io_.restart();
}

}  // namespace penstock
