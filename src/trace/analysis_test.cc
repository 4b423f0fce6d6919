#include "trace/analysis.h"

#include <gmock/gmock.h>

namespace penstock::trace {
namespace {

using ::testing::ElementsAre;

class AnalysisTest : public ::testing::Test {
 protected:
  AnalysisTest() {
    trace.seen.begin = at(0ms);
    trace.seen.took = 100ms;
    trace.seen.method = "POST";
    trace.seen.route = "/v1/chat/completions";
    trace.seen.model = "m";
    trace.seen.status = 200;
  }
  static Time at(Duration from) { return Time(1h) + from; }
  std::uint8_t add(Step step, std::uint8_t parent, Duration begin, std::optional<Duration> end,
                   std::string_view name = "POST", bool bad = false) {
    Span span;
    span.step = step;
    span.parent = parent;
    span.begin = at(begin);
    if (end) span.end = at(*end);
    span.name = name;
    if (bad) span.status = Status::error;
    trace.spans.push_back(span);
    return static_cast<std::uint8_t>(trace.spans.size() - 1);
  }
  Duration own(std::uint8_t place) {
    for (const Line& line : analyse(trace).lines) {
      if (line.place == place) return line.own;
    }
    return -1ns;
  }
  Finished trace;
};

TEST_F(AnalysisTest, ARequestWithoutStepsIsItsOwn) {
  const Analysis analysis = analyse(trace);
  ASSERT_EQ(analysis.lines.size(), 1u);
  EXPECT_EQ(analysis.lines[0].own, 100ms);
  EXPECT_EQ(analysis.bottleneck, 0u);
  EXPECT_TRUE(analysis.failed.empty());
}

TEST_F(AnalysisTest, TimeBelongsToTheInnermostStep) {
  const auto look = add(Step::cache_lookup, kRoot, 1ms, 11ms, "redis");
  const auto get = add(Step::redis, look, 2ms, 10ms, "GET");
  const auto chat = add(Step::operation, kRoot, 20ms, 95ms, "chat");
  const auto post = add(Step::attempt, chat, 20ms, 95ms);
  EXPECT_EQ(own(kRoot), 15ms);
  EXPECT_EQ(own(look), 2ms);
  EXPECT_EQ(own(get), 8ms);
  EXPECT_EQ(own(chat), 0ms);
  EXPECT_EQ(own(post), 75ms);
  const Analysis analysis = analyse(trace);
  EXPECT_EQ(analysis.lines[analysis.bottleneck].place, post);
  std::vector<std::pair<std::string, unsigned>> lines;
  for (const Line& line : analysis.lines)
    lines.emplace_back(name_of(trace, line.place), line.depth);
  EXPECT_THAT(lines, ElementsAre(std::pair("POST /v1/chat/completions", 0u),
                                 std::pair("penstock.cache.lookup", 1u), std::pair("GET", 2u),
                                 std::pair("chat m", 1u), std::pair("POST", 2u)));
}

TEST_F(AnalysisTest, WhatOverlapsIsCountedOnce) {
  add(Step::redis, kRoot, 10ms, 50ms);
  add(Step::redis, kRoot, 20ms, 40ms);
  add(Step::redis, kRoot, 30ms, 60ms);
  EXPECT_EQ(own(kRoot), 50ms);
}

TEST_F(AnalysisTest, WhatOutlivesTheRequestIsNoneOfItsTime) {
  const auto put = add(Step::redis, kRoot, 90ms, 190ms, "SET");
  const auto later = add(Step::redis, kRoot, 150ms, 190ms, "SET");
  EXPECT_EQ(own(kRoot), 90ms);
  EXPECT_EQ(own(put), 10ms);
  EXPECT_EQ(own(later), 0ms);
  const auto given_up = add(Step::redis, kRoot, 95ms, std::nullopt, "GET");
  EXPECT_EQ(own(given_up), 5ms);
}

TEST_F(AnalysisTest, AnErrorBeganInTheInnermostAndPassedThroughTheRest) {
  trace.seen.status = 502;
  const auto get = add(Step::redis, kRoot, 0ms, 5ms, "GET", true);
  const auto chat = add(Step::operation, kRoot, 10ms, 90ms, "chat", true);
  const auto post = add(Step::attempt, chat, 10ms, 90ms, "POST", true);
  EXPECT_THAT(analyse(trace).failed, ElementsAre(post, chat, kRoot));
  trace.seen.status = 200;  // what went wrong on the way did no harm
  EXPECT_TRUE(analyse(trace).failed.empty());
  trace.seen.status = 503;
  trace.spans.resize(get + 1u);
  EXPECT_THAT(analyse(trace).failed, ElementsAre(get, kRoot));
  trace.spans.clear();
  EXPECT_THAT(analyse(trace).failed, ElementsAre(kRoot));
}

}  // namespace
}  // namespace penstock::trace
