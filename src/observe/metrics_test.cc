#include "observe/metrics.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

namespace penstock::observe {
namespace {

std::string rendered(const Registry& registry, Format format = Format::text) {
  std::string out;
  registry.render(out, format);
  return out;
}

bool has(const std::string& text, const std::string& line) {
  return text.find(line + "\n") != std::string::npos;
}

TEST(Registry, SumsWhatTheShardsCounted) {
  Registry registry(2);
  Counter one = registry.shard(0).counter("penstock_x_total", "Things.", {{"kind", "a"}});
  Counter two = registry.shard(1).counter("penstock_x_total", "Things.", {{"kind", "a"}});
  one.add(2);
  two.add(3);
  const std::string text = rendered(registry);
  EXPECT_TRUE(has(text, "# HELP penstock_x_total Things."));
  EXPECT_TRUE(has(text, "# TYPE penstock_x_total counter"));
  EXPECT_TRUE(has(text, "penstock_x_total{kind=\"a\"} 5"));
  EXPECT_EQ(registry.sum("penstock_x_total", {{"kind", "a"}}), 5);
}

TEST(Registry, SeriesAreThereFromTheStart) {
  Registry registry(1);
  registry.shard(0).counter("penstock_x_total", "Things.", {});
  EXPECT_TRUE(has(rendered(registry), "penstock_x_total 0"));
}

TEST(Histogram, CountsAValueOnABoundBelowIt) {
  Registry registry(1);
  Histogram h = registry.shard(0).histogram("penstock_h_seconds", "Times.", kFast, {});
  h.observe(.001);
  h.observe(.0011);
  h.observe(100);
  const std::string text = rendered(registry);
  EXPECT_TRUE(has(text, "penstock_h_seconds_bucket{le=\"0.001\"} 1"));
  EXPECT_TRUE(has(text, "penstock_h_seconds_bucket{le=\"0.0025\"} 2"));
  EXPECT_TRUE(has(text, "penstock_h_seconds_bucket{le=\"5\"} 2"));
  EXPECT_TRUE(has(text, "penstock_h_seconds_bucket{le=\"+Inf\"} 3"));
  EXPECT_TRUE(has(text, "penstock_h_seconds_count 3"));
  EXPECT_TRUE(has(text, "penstock_h_seconds_sum 100.0021"));
}

TEST(Registry, SaysHowManySeriesItShows) {
  Registry registry(2);
  registry.shard(0).counter("penstock_x_total", "Things.", {{"kind", "a"}});
  registry.shard(1).counter("penstock_x_total", "Things.", {{"kind", "a"}});
  registry.shard(1).counter("penstock_x_total", "Things.", {{"kind", "b"}});
  registry.shard(0).histogram("penstock_h_seconds", "Times.", kFast, {});
  const std::string text = rendered(registry);
  std::size_t lines = 0;
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    if (text[at] != '#') ++lines;
  }
  EXPECT_TRUE(has(text, fmt::format("penstock_metrics_series {}", lines))) << text;
}

TEST(Registry, EscapesLabelsAndNamesCountersAsOpenMetricsWants) {
  Registry registry(1);
  registry.shard(0).counter("penstock_x_total", "A \"thing\".", {{"k", "a\"b\\c\nd"}}).add();
  const std::string text = rendered(registry, Format::openmetrics);
  EXPECT_TRUE(has(text, "# TYPE penstock_x counter"));
  EXPECT_TRUE(has(text, "penstock_x_total{k=\"a\\\"b\\\\c\\nd\"} 1"));
  EXPECT_TRUE(text.ends_with("# EOF\n"));
}

TEST(Registry, CountsTooManyValuesOfALabelAsOther) {
  Registry registry(1, 10);
  for (int i = 0; i < 100000; ++i) {
    if (i > 1000 && i % 100 != 0) continue;
    registry.shard(0).counter("penstock_x_total", "Things.", {{"model", std::to_string(i)}}).add();
  }
  const std::string text = rendered(registry);
  EXPECT_TRUE(has(text, "penstock_x_total{model=\"9\"} 1"));
  EXPECT_EQ(text.find("model=\"10\""), std::string::npos);
  EXPECT_GT(registry.sum("penstock_x_total", {{"model", "other"}}), 900);
  EXPECT_GT(registry.sum("penstock_metrics_overflow_total"), 900);
}

TEST(Registry, RegressionSetsThatTheProgramKnowsWereCut) {
  Registry registry(1, 1);
  for (const char* model : {"other", "a", "b", "c"}) {
    for (const char* outcome : {"success", "timeout", "cancelled"}) {
      const Labels labels = {{"model", model}, {"outcome", outcome}};
      registry.shard(0).counter("penstock_x_total", "Things.", labels).add();
    }
  }
  const std::string text = rendered(registry);
  EXPECT_EQ(text.find("outcome=\"other\""), std::string::npos);
  for (const char* outcome : {"success", "timeout", "cancelled"}) {
    EXPECT_EQ(registry.sum("penstock_x_total", {{"outcome", outcome}}), 4) << outcome;
    EXPECT_EQ(registry.sum("penstock_x_total", {{"model", "a"}, {"outcome", outcome}}), 1);
    EXPECT_EQ(registry.sum("penstock_x_total", {{"model", "other"}, {"outcome", outcome}}), 3);
  }
}

TEST(Registry, IsScrapedWhileItIsWritten) {
  Registry registry(2);
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (std::size_t i = 0; i < 2; ++i) {
    writers.emplace_back([&registry, &stop, i] {
      Counter counter = registry.shard(i).counter("penstock_x_total", "Things.", {});
      Histogram h = registry.shard(i).histogram("penstock_h_seconds", "Times.", kFast, {});
      while (!stop) {
        counter.add();
        h.observe(.01);
      }
    });
  }
  double last = 0;
  for (int i = 0; i < 200; ++i) {
    const double now = registry.sum("penstock_x_total");
    EXPECT_GE(now, last);
    last = now;
    rendered(registry);
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
}

TEST(Registry, WhatIsWatchedIsShownWhileThereIsAValue) {
  Registry registry(1, 2);
  std::optional<double> value = 1;
  for (const char* engine : {"a", "b", "c"}) {
    registry.watch(Type::gauge, "penstock_engine_healthy", "Help.", {{"engine", engine}},
                   [&] { return value; });
  }
  std::string out;
  registry.render(out, Format::text);
  EXPECT_NE(out.find("penstock_engine_healthy{engine=\"b\"} 1\n"), out.npos);
  EXPECT_EQ(out.find("engine=\"c\""), out.npos);  // one value too many
  EXPECT_NE(out.find("penstock_metrics_overflow_total 1\n"), out.npos);
  EXPECT_EQ(registry.sum("penstock_engine_healthy"), 2);
  value.reset();
  out.clear();
  registry.render(out, Format::text);
  EXPECT_EQ(out.find("penstock_engine_healthy{"), out.npos);
  EXPECT_EQ(registry.sum("penstock_engine_healthy"), 0);
}

}  // namespace
}  // namespace penstock::observe
