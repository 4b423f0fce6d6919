// What a load run measured, and how it is shown.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "load/histogram.h"

namespace penstock::load {

struct Options;

// How a request failed without a whole answer. An answer with a status of 400 or more has failed
// too; it is counted by its status.
enum class Failed : std::uint8_t {
  connect,    // no connection
  closed,     // the connection ended before an answer began
  timeout,    // no whole answer in time
  malformed,  // not HTTP, or not as strict as it must be
  truncated,  // the answer broke off, or a stream ended without its [DONE]
  in_stream,  // a stream that carried an error event
  unsent,     // open loop: due, and no connection ever became free for it
};
inline constexpr std::size_t kFailures = 7;
std::string_view label_of(Failed failed);

// One thread's counts, and after `merge` all threads'.
struct Counts {
  std::uint64_t answers = 0;                // whole ones, whatever their status
  std::array<std::uint64_t, 600> status{};  // by code
  std::array<std::uint64_t, kFailures> failures{};
  std::vector<std::pair<std::string, std::uint64_t>> cache;  // x-penstock-cache's first words
  std::string refusal;       // the beginning of some refused answer's body
  std::uint64_t events = 0;  // of streams, [DONE] not counted
  std::uint64_t streams = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  Histogram latency;      // whole answers
  Histogram first_token;  // streams: to the first event that carries text
  Histogram gap;          // streams: between one event and the next, as they were read
  Histogram late;         // open loop: how late the generator itself sent: its own part of the
                          // latency, waiting for a free connection included

  void cache_result(std::string_view word);
  void merge(const Counts& other);

  std::uint64_t failed() const;  // all failures, and answers of 400 and more
  std::uint64_t ended() const;   // whole answers, and what failed without one
  int refused_alike() const;     // the status of 400 or more that every answer had, or 0
};

struct Report {
  Counts counts;
  Duration measured{};          // how long
  std::uint64_t in_flight = 0;  // closed loop: not answered yet when the time was up
  bool cut_short = false;       // by an interrupt
  double cpu = 0;               // share of one core that the generator itself used, a thread:
                                // near 1 it is the generator that is measured

  double per_second(std::uint64_t count) const;
};

std::string to_table(const Report& report, const Options& options);
std::string to_json(const Report& report, const Options& options);

}  // namespace penstock::load
