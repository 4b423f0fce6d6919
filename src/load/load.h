// The load generator: asks a gateway questions as many users would, and measures what it answers.
//
// Closed loop: each connection asks again as soon as it is answered: how much can the server do?
// Open loop: questions come at a constant rate, whatever the server does, and an answer's latency
// counts from the moment at which its question was meant to be sent. A server that stalls for a
// second is then seen to have delayed all the questions of that second, not one a connection
// (Gil Tene's "coordinated omission").
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "load/report.h"

namespace penstock::load {

struct Options {
  std::string url = "http://127.0.0.1:8080";  // http only; /v1/chat/completions is added
  std::string model = "handbook";
  unsigned connections = 64;  // closed loop: all in use; open loop: at most so many
  double rate = 0;            // questions a second, all threads together; 0: closed loop
  bool stream = false;
  std::uint32_t questions = 1000;  // distinct ones, made up
  double zipf = 0.9;               // the n-th is asked 1/n^zipf as often as the first; 0: equally
  bool unique = false;             // every question differs from all before it
  std::string file;                // questions from here instead: .jsonl, or text, one a line
  std::size_t body_bytes = 400;    // of a made-up request's body; as small as can be if less
  Duration duration = 10s;         // that is measured
  Duration warmup = 2s;            // before it
  Duration timeout = 60s;          // of one answer, its stream included
  unsigned threads = 1;
  std::vector<std::string> headers;  // "name: value", sent along
  std::uint64_t seed = 1;
  std::string json;           // a file for the figures, or "-"
  bool allow_remote = false;  // a load test of others' servers is an attack
  bool progress = false;      // a line a second on standard error
};

// Runs the load; blocks. Ends early, with what was measured so far, when `stop` is requested.
// An Error (invalid) says which option means nothing, before anything is sent; (unreachable) that
// not even one connection could be made.
Result<Report> run(const Options& options, std::stop_token stop);

}  // namespace penstock::load
