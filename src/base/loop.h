// A worker's event loop: one thread, one io_context, one wheel of alarms.
//
// What lives on a loop is touched by its thread alone and needs no lock. Another thread reaches
// it by `asio::post(loop.executor(), ...)`.
#pragma once

#include <boost/asio.hpp>
#include <string>

#include "base/alarm.h"
#include "base/clock.h"

namespace penstock {

namespace asio = boost::asio;

// The concrete executor: a type-erased one costs a virtual call an operation (ADR 1).
using Executor = asio::io_context::executor_type;

// A coroutine that runs on a loop.
template <class T>
using Task = asio::awaitable<T, Executor>;

// Completion token: `auto [ec, n] = co_await socket.async_read_some(buffer, as_result);`
inline constexpr asio::as_tuple_t<asio::use_awaitable_t<Executor>> as_result{};

using TcpSocket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using TcpAcceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;
using SteadyTimer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, Executor>;

class Loop {
 public:
  // `index` is the worker's number; it names its metrics shard.
  explicit Loop(unsigned index = 0);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();

  unsigned index() const { return index_; }
  asio::io_context& io() { return io_; }
  Executor executor() { return io_.get_executor(); }

  // Sets or moves an alarm of this loop; Time::max() clears it.
  void set(Alarm& alarm, Time at);
  void clear(Alarm& alarm) { alarms_.clear(alarm); }

  // Runs until `stop`. Rethrows what a handler throws: nothing on a loop should.
  void run();
  // From any thread. What is still suspended is destroyed with the loop.
  void stop() { io_.stop(); }

 private:
  void arm(Time at);

  unsigned index_;
  // Before io_: destroying the io_context destroys suspended coroutines, which leave the wheel.
  AlarmWheel alarms_;
  Time armed_ = Time::max();
  asio::io_context io_;
  SteadyTimer timer_;
};

}  // namespace penstock
