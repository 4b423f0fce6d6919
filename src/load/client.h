// One thread's connections: an epoll loop that does nothing but send and count.
//
// It is not the gateway's HTTP client: that one is built to be right with any engine, this one to
// cost so little that what is measured is the server. A request is one send, an answer one recv.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <stop_token>

#include "load/load.h"
#include "load/plan.h"

namespace penstock::load {

struct Endpoint {
  sockaddr_storage address{};
  socklen_t size = 0;
};

// What all threads of a run have in common.
struct Job {
  const Options& options;
  const Plan& plan;
  const Zipf& zipf;
  Endpoint endpoint;
  Time start;    // of the warm-up
  Time measure;  // its end
  Time end;      // of the measurement
};

// What the others may look at while a thread runs; a moment old.
struct alignas(64) Progress {
  std::atomic<std::uint64_t> answers{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> events{0};
};

struct Outcome {
  Counts counts;
  std::uint64_t in_flight = 0;
  double cpu_seconds = 0;
};

// Runs share `share` of the job's connections and rate on the calling thread until the job's end
// and, in an open loop, until what was due before it is answered or timed out; or until `stop`.
Result<Outcome> run_share(const Job& job, unsigned share, Progress& progress, std::stop_token stop);

}  // namespace penstock::load
