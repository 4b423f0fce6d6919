// Sends what is kept to a backend, on a thread of its own.
//
// No request waits for it: the queue is bounded, and what does not fit is dropped and counted. The
// library that speaks OTLP is loaded by that thread, so that the start of the program does not wait
// for it either.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "trace/convert.h"

namespace penstock::trace {

class Exporter {
 public:
  struct Options {
    std::size_t queue = 2048;  // requests
    std::size_t batch = 512;   // requests
    Duration delay = 1s;       // at most, from a request's end to its sending
    // Makes the backend, on the exporter's thread; an Error is told by `failed`, and all is
    // dropped.
    std::function<Result<std::shared_ptr<Backend>>()> make;
    // How the texts of a request are written for a backend, on the exporter's thread.
    std::function<Messages(const Texts& texts)> messages;
    // What went wrong, where it did not a moment ago, and that it is well again.
    std::function<void(const Error& error)> failed;
    std::function<void()> recovered;
  };

  explicit Exporter(Options options);
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;
  ~Exporter();  // stop() with no patience

  // Any thread; never waits for the backend.
  void add(Finished&& trace);
  // Exported where one of its requests is, or it failed; a while later, so that it is known of all
  // of them.
  void add(Flush&& flush);
  void set_facts(Facts facts);

  // Sends what waits, for as long as the patience lasts. False: the thread could not be ended, and
  // is left behind; the program must end without taking its memory down.
  bool stop(Duration patience);

  // Of spans: sent, not taken by the backend, and those of requests that the queue had no room for.
  std::uint64_t exported() const { return state_->exported.load(std::memory_order_relaxed); }
  std::uint64_t failed() const { return state_->failed.load(std::memory_order_relaxed); }
  std::uint64_t dropped() const { return state_->dropped.load(std::memory_order_relaxed); }
  std::size_t waiting() const;  // requests

 private:
  // The thread's too, which may outlive the exporter.
  struct State {
    explicit State(Options given) : options(std::move(given)) {}
    const Options options;
    mutable std::mutex mutex;  // of all up to the counters
    std::condition_variable changed;
    std::deque<Finished> queue;
    std::size_t texts = 0;  // bytes of those that wait
    std::deque<Flush> flushes;
    std::shared_ptr<const Facts> facts = std::make_shared<const Facts>();
    bool stopping = false;
    bool gone = false;  // nobody listens to what is told any more
    bool ended = false;
    std::atomic<std::uint64_t> exported{0}, failed{0}, dropped{0};
  };
  class Flushes;
  static void run(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace penstock::trace
