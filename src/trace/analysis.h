// What a request's trace says: where its time went, and where its error began.
#pragma once

#include <string>
#include <vector>

#include "trace/trace.h"

namespace penstock::trace {

// One line of the waterfall. `place` is the step's, or kRoot.
struct Line {
  std::uint8_t place = kRoot;
  unsigned depth = 0;
  Duration begin{};  // from the request's begin on
  Duration took{};
  Duration own{};  // of it, what no step below it took; none of what came after the request's end
};

struct Analysis {
  std::vector<Line> lines;     // each behind the one it is part of, in the order of their begin
  std::size_t bottleneck = 0;  // the line with the most time of its own
  std::vector<std::uint8_t> failed;  // from where the error began up to the request; empty: none
};

Analysis analyse(const Finished& trace);

// As the span is called: "POST /v1/chat/completions", "penstock.cache.lookup", "chat gpt-4o",
// "GET".
std::string name_of(const Finished& trace, std::uint8_t place);

}  // namespace penstock::trace
