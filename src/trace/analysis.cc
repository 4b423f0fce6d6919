#include "trace/analysis.h"

#include <algorithm>

namespace penstock::trace {
namespace {

using Interval = std::pair<Time, Time>;

Time end_of(const Finished& trace, const Span& span) {
  return span.end != Time() ? span.end : std::max(span.begin, trace.seen.begin + trace.seen.took);
}

// How much of [from, to] no step below `place` covers.
Duration own_time(const Finished& trace, std::uint8_t place, Time from, Time to) {
  std::vector<Interval> below;
  for (const Span& span : trace.spans) {
    if (span.parent != place) continue;
    const Time begin = std::clamp(span.begin, from, to);
    below.emplace_back(begin, std::clamp(end_of(trace, span), begin, to));
  }
  std::sort(below.begin(), below.end());
  Duration own = to - from;
  Time covered = from;
  for (const auto& [begin, end] : below) {
    if (end <= covered) continue;
    own -= end - std::max(begin, covered);
    covered = end;
  }
  return own;
}

void add(const Finished& trace, std::uint8_t place, unsigned depth, Analysis& to) {
  const Time request_begin = trace.seen.begin;
  const Time request_end = request_begin + trace.seen.took;
  const bool root = place == kRoot;
  const Time begin = root ? request_begin : trace.spans[place].begin;
  const Time end = root ? request_end : end_of(trace, trace.spans[place]);
  const Time own_begin = std::clamp(begin, request_begin, request_end);
  const Duration own = own_time(trace, place, own_begin, std::clamp(end, own_begin, request_end));
  to.lines.push_back({place, depth, begin - request_begin, end - begin, own});
  std::vector<std::uint8_t> below;
  for (std::size_t i = 0; i < trace.spans.size(); ++i) {
    if (trace.spans[i].parent == place) below.push_back(static_cast<std::uint8_t>(i));
  }
  std::stable_sort(below.begin(), below.end(), [&](std::uint8_t a, std::uint8_t b) {
    return trace.spans[a].begin < trace.spans[b].begin;
  });
  for (const std::uint8_t one : below) add(trace, one, depth + 1, to);
}

// The last step that failed without one below it that did, and all that it is part of.
std::vector<std::uint8_t> way_of_error(const Finished& trace) {
  if (!failed(trace.seen)) return {};
  std::uint8_t origin = kRoot;
  for (std::size_t i = 0; i < trace.spans.size(); ++i) {
    const Span& span = trace.spans[i];
    if (span.status != Status::error) continue;
    const bool below = std::any_of(trace.spans.begin(), trace.spans.end(), [&](const Span& other) {
      return other.parent == i && other.status == Status::error;
    });
    if (below) continue;
    if (origin == kRoot || trace.spans[origin].begin <= span.begin) {
      origin = static_cast<std::uint8_t>(i);
    }
  }
  std::vector<std::uint8_t> way;
  for (std::uint8_t at = origin; at != kRoot; at = trace.spans[at].parent) way.push_back(at);
  way.push_back(kRoot);
  return way;
}

}  // namespace

Analysis analyse(const Finished& trace) {
  Analysis analysis;
  add(trace, kRoot, 0, analysis);
  for (std::size_t i = 0; i < analysis.lines.size(); ++i) {
    if (analysis.lines[i].own > analysis.lines[analysis.bottleneck].own) analysis.bottleneck = i;
  }
  analysis.failed = way_of_error(trace);
  return analysis;
}

std::string name_of(const Finished& trace, std::uint8_t place) {
  if (place >= trace.spans.size()) {
    return std::string(trace.seen.method) + ' ' + std::string(trace.seen.route);
  }
  const Span& span = trace.spans[place];
  switch (span.step) {
    case Step::cache_lookup:
    case Step::coalesce_wait: return std::string(word(span.step));
    case Step::operation:
      return std::string(span.name) + ' ' + std::string(trace.seen.model.view());
    case Step::redis:
    case Step::database:
    case Step::attempt: break;
  }
  return std::string(span.name);
}

}  // namespace penstock::trace
