#include "observe/metrics.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <ctime>
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

TEST(Registry, CutsAMetricOfTooManySeries) {
  Registry registry(1, 200, 10);
  for (int code = 100; code < 1000; ++code) {
    const Labels labels = {{"route", "chat"}, {"code", std::to_string(code)}};
    registry.shard(0).counter("penstock_x_total", "Things.", labels).add();
  }
  const std::string text = rendered(registry);
  EXPECT_TRUE(has(text, "penstock_x_total{route=\"chat\",code=\"109\"} 1"));
  EXPECT_EQ(text.find("code=\"110\""), std::string::npos);
  EXPECT_TRUE(has(text, "penstock_x_total{route=\"other\",code=\"other\"} 890"));
  EXPECT_EQ(registry.sum("penstock_metrics_overflow_total"), 890);
}

TEST(Registry, AWatchedSeriesIsReadAsItWasLastAskedFor) {
  Registry registry(1);
  for (const double value : {1.0, 2.0}) {
    registry.watch(Type::gauge, "penstock_w", "Help.", {{"a", "b"}}, [value] { return value; });
  }
  EXPECT_EQ(registry.sum("penstock_w"), 2);
}

TEST(Registry, TellsWhatThereIs) {
  Registry registry(1);
  for (const char* kind : {"a", "b"}) {
    registry.shard(0).counter("penstock_x_total", "Things.", {{"engine", "e"}, {"kind", kind}});
  }
  registry.shard(0).histogram("penstock_h_seconds", "Times.", kRatio, {});
  const std::vector<Registry::Entry> all = registry.catalogue();
  ASSERT_EQ(all.size(), 4u);  // with its own two
  EXPECT_EQ(all[0].name, "penstock_h_seconds");
  EXPECT_EQ(all[0].bounds.size(), kRatio.size());
  EXPECT_EQ(all[3].help, "Things.");
  ASSERT_EQ(all[3].labels.size(), 2u);
  EXPECT_EQ(all[3].labels[1].second, (std::vector<std::string>{"a", "b"}));
}

TEST(Histogram, CountsNothingWhileItIsTurnedOff) {
  Registry registry(1);
  Histogram plain = registry.shard(0).histogram("penstock_h_seconds", "Times.", kFast, {});
  TracedHistogram traced = registry.shard(0).traced_histogram("penstock_t", "Times.", kFast, {});
  Counter counter = registry.shard(0).counter("penstock_x_total", "Things.", {});
  const auto all = [&] {
    plain.observe(.01);
    traced.observe_with(.01, {1, 2});
    counter.add();
  };
  registry.set_observing(false);
  all();
  EXPECT_TRUE(has(rendered(registry), "penstock_h_seconds_count 0"));
  EXPECT_TRUE(has(rendered(registry), "penstock_t_count 0"));
  EXPECT_EQ(rendered(registry, Format::openmetrics).find("trace_id"), std::string::npos);
  EXPECT_TRUE(has(rendered(registry), "penstock_x_total 1"));  // the program lives by some
  registry.set_observing(true);
  all();
  EXPECT_TRUE(has(rendered(registry), "penstock_h_seconds_count 1"));
  EXPECT_TRUE(has(rendered(registry), "penstock_t_count 1"));
}

constexpr TraceId kTrace = {0x4bf92f3577b34da6, 0xa3ce929d0e0e4736};

TEST(Exemplars, StandBehindTheBucketInOpenMetricsAlone) {
  Registry registry(2);
  const Labels labels = {{"engine", "e"}};
  TracedHistogram h = registry.shard(1).traced_histogram("penstock_t", "Times.", kFast, labels);
  h.observe_with(.0003, kTrace);
  h.observe_with(.0004, {});  // counted in the same bucket, and its trace is not kept
  const std::string text = rendered(registry, Format::openmetrics);
  const std::string line =
      "penstock_t_bucket{engine=\"e\",le=\"0.0005\"} 2 # "
      "{trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 0.0003 ";
  const std::size_t at = text.find(line);
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_NEAR(std::stod(text.substr(at + line.size())), static_cast<double>(std::time(nullptr)), 5);
  EXPECT_EQ(text.find("trace_id"), text.rfind("trace_id"));
  EXPECT_EQ(rendered(registry).find('#', rendered(registry).find("penstock_t_bucket")),
            std::string::npos);
}

TEST(Exemplars, AreTheLatestOfAllShards) {
  ExemplarCell cell;
  EXPECT_FALSE(cell.get());
  cell.set({kTrace, .5, 10});
  cell.set({{1, 2}, .25, 11});
  ASSERT_TRUE(cell.get());
  EXPECT_EQ(cell.get()->trace, (TraceId{1, 2}));
  EXPECT_EQ(cell.get()->value, .25);

  Registry registry(2);
  for (std::uint64_t i = 0; i < 2; ++i) {
    registry.shard(1 - i)
        .traced_histogram("penstock_t", "T.", kFast, {})
        .observe_with(9, {0, i + 1});
  }
  const std::string text = rendered(registry, Format::openmetrics);
  EXPECT_NE(text.find("0000000002\"} 9 "), std::string::npos) << text;
}

TEST(Exemplars, AreNotKeptWhereTheyAreNotWanted) {
  Registry registry(1);
  registry.keep_exemplars(false);
  registry.shard(0).traced_histogram("penstock_t", "T.", kFast, {}).observe_with(.1, kTrace);
  const std::string text = rendered(registry, Format::openmetrics);
  EXPECT_EQ(text.find("trace_id"), std::string::npos);
  EXPECT_TRUE(has(text, "penstock_t_count 1"));
}

TEST(Exemplars, AreNeverTornWhileTheyAreWritten) {
  ExemplarCell cell;
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::uint64_t i = 1; !stop; ++i) {
      cell.set({{i, ~i}, static_cast<double>(i), static_cast<double>(i)});
    }
  });
  int seen = 0;
  for (int i = 0; i < 100'000 || seen == 0; ++i) {
    const std::optional<Exemplar> one = cell.get();
    if (!one) continue;
    ++seen;
    ASSERT_EQ(one->trace.low, ~one->trace.high);
    ASSERT_EQ(one->value, static_cast<double>(one->trace.high));
    ASSERT_EQ(one->unix_seconds, one->value);
  }
  stop = true;
  writer.join();
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
