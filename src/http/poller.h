// Readiness of many sockets, a batch at a time.
//
//   loop (Asio) --one wait--> poller (epoll, edge-triggered) --events--> sockets
//
// Asio reads a socket once before it waits for it, which for a keep-alive connection is a call of
// the kernel that always fails, or re-arms it, which is another. Here a socket is registered once;
// a batch of events costs one wait and one fetch, however many they are (ADR 1).
#pragma once

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <cstdint>

#include "base/loop.h"

namespace penstock::http {

class Poller {
 public:
  // What is told when something happened to a socket.
  class Socket {
   public:
    // `readable`, `writable`: there is something to read (or an end), or room again, since the
    // last event. `hung_up`: the other side has closed, at least its sending half.
    virtual void on_event(bool readable, bool writable, bool hung_up) = 0;

   protected:
    ~Socket() = default;
  };

  explicit Poller(Loop& loop);
  virtual ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Until it is closed, `socket` is told of what happens to `fd`. False: the kernel refuses.
  bool add(int fd, Socket& socket);
  // A socket that is closed while a batch is under way may still be in it: it must not be freed
  // before the batch has ended.
  bool in_batch() const { return in_batch_; }

 protected:
  virtual void batch_ended() = 0;

 private:
  void wait();
  void run_batch();

  asio::posix::basic_stream_descriptor<Executor> epoll_;
  bool in_batch_ = false;
};

}  // namespace penstock::http
