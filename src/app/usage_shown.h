// Usage as `penstock usage` writes it: a table for people, CSV and JSON for programs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "store/engagement.h"
#include "store/usage.h"

namespace penstock::app {

enum class UsageFormat : std::uint8_t { table, csv, json };

// A time of UTC: "2026-11", "2026-11-27", "2026-11-27T04:30", with seconds or a Z or both; or how
// long before `now`: "24h", "7d". Microseconds since 1970.
std::optional<std::int64_t> parse_moment(std::string_view text, WallTime now);
std::int64_t day_of(WallTime now);         // when it began, of UTC
std::int64_t month_of(WallTime now);       // likewise
std::string moment_text(std::int64_t us);  // "2026-11-27T04:30:00Z"

// What was used of one group: what engines did, and what the cache saved.
struct UsageLine {
  std::vector<std::string> group;
  std::uint64_t requests = 0;
  std::uint64_t hits = 0;  // answered out of the cache
  std::uint64_t errors = 0;
  Usage tokens;             // of the engines
  std::uint64_t saved = 0;  // tokens, input and output, of the hits
  Nano cost = 0;
  double duration_us = 0;  // on average
  std::optional<double> first_token_us;
  std::uint64_t judged = 0;  // requests whose question has a complexity
  double complexity = 0;     // of those, on average
  std::optional<std::int64_t> duration_p95_us;
};

struct UsageView {
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;
  std::vector<std::string> by;
  bool percentiles = false;
};

// Makes lines of sums that come in pages, of groups whose last column is the cache's level. That
// column is taken out, and lines with the same rest are added up, unless it was asked for.
class UsageLines {
 public:
  explicit UsageLines(bool keep_cache) : keep_cache_(keep_cache) {}
  void add(const store::UsageSums& sums);
  const std::vector<UsageLine>& lines() const { return lines_; }
  UsageLine total() const;

 private:
  static void add(UsageLine& to, const UsageLine& more);

  const bool keep_cache_;
  std::vector<UsageLine> lines_;
};

std::string show_usage(const UsageView& view, const UsageLines& lines, UsageFormat format);
std::string show_engagement(const UsageView& view, const std::vector<store::EngagementSums>& sums,
                            UsageFormat format);

}  // namespace penstock::app
