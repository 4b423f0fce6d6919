// Readiness of many sockets, a batch at a time.
//
//   loop (Asio) --one wait--> poller (epoll, edge-triggered) --events--> sockets
//
// Asio reads a socket once before it waits for it, which for a connection that is asked again and
// again is a call of the kernel that always fails, or re-arms it, which is another. Here a socket
// is registered once; a batch of events costs one wait and one fetch, however many they are (ADR
// 1).
#pragma once

#include <sys/epoll.h>

#include <array>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <cstdint>

#include "base/asio.h"

namespace penstock {

class Poller {
 public:
  // What is told when something happened to a socket.
  class Socket {
   public:
    virtual ~Socket() = default;
    // `readable`, `writable`: there is something to read (or an end), or room again, since the
    // last event. `hung_up`: the other side has closed, at least its sending half.
    virtual void on_event(bool readable, bool writable, bool hung_up) = 0;
  };

  explicit Poller(const Executor& executor);
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();

  // Makes the kernel's part of it, which a loop without sockets need not have; else the first `add`
  // does. False: the kernel refuses.
  bool open();
  // From now on `socket` is told of what happens to `fd`, first that it is writable if it is.
  // False: the kernel refuses.
  bool add(int fd, Socket& socket);
  // Call it before `fd` is closed: `socket` is told nothing more, and may be destroyed.
  void remove(Socket& socket);
  // Likewise, where something else may hold `fd` open beyond its closing, as a child of this
  // process does between fork and exec: the kernel would go on telling of it.
  void remove(int fd, Socket& socket);

 private:
  void wait();
  void run_batch();

  asio::posix::basic_stream_descriptor<Executor> epoll_;
  std::array<epoll_event, 128> batch_;
  int next_ = 0;  // of the batch under way
  int count_ = 0;
};

}  // namespace penstock
