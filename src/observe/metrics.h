// Metrics: counters, gauges and histograms that cost a request a few nanoseconds.
//
//   Registry ── family (name, help, type) ── series (labels) ── one cell a shard
//                                                                  ^
//   a worker's Shard hands out handles ───────────────────────────┘  written by it alone
//
// A handle points at cells that only its own shard's thread writes, with a plain load and store;
// a scrape sums the cells of all shards. Nothing is locked and nothing is looked up on a request's
// way: handles are made when a route loads (ADR 4).
//
// Histograms can be turned off while the program runs: what they are told of is then forgotten.
// Counters and gauges go on, since the program itself lives by some of them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "observe/exemplar.h"

namespace penstock::observe {

using Labels = std::vector<std::pair<std::string, std::string>>;

// Upper bounds of histograms, in base units; +Inf is understood. Each budget's threshold is one.
inline constexpr std::array kDuration = {.001, .0025, .005, .01, .025, .05, .1,  .2,  .25,
                                         .5,   1.0,   2.5,  5.0, 10.,  20., 40., 80., 160.};
inline constexpr std::array kOverhead = {.00001, .000025, .00005, .0001, .00025, .0005, .001,
                                         .0025,  .005,    .01,    .025,  .05,    .1};
inline constexpr std::array kFast = {.00005, .0001, .00025, .0005, .001, .0025, .005,
                                     .01,    .025,  .05,    .1,    .5,   1.0,   5.0};
inline constexpr std::array kTtft = {.001, .005, .01, .02, .04, .06, .08, .1,  .25, .5,
                                     .75,  1.0,  2.5, 5.0, 7.5, 10., 20., 40., 80.};
inline constexpr std::array kTpot = {.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1.0, 2.5};
inline constexpr std::array kTokens = {1.0,    4.0,     16.0,    64.0,     256.0,    1024.0,
                                       4096.0, 16384.0, 65536.0, 262144.0, 1048576.0};
inline constexpr std::array kSize = {256.0,   1024.0,   4096.0,    16384.0,
                                     65536.0, 262144.0, 1048576.0, 4194304.0};
inline constexpr std::array kRatio = {.05, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1.0};

// A value written by one thread and read by any.
class Cell {
 public:
  void add(double amount) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  double get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// Only goes up. A default-made handle counts nothing.
class Counter {
 public:
  Counter() = default;
  void add(double amount = 1) {
    if (cell_ != nullptr) cell_->add(amount);
  }

 private:
  friend class Shard;
  explicit Counter(Cell* cell) : cell_(cell) {}
  Cell* cell_ = nullptr;
};

// Goes up and down. The shards' values are added: each says its own part.
class Gauge {
 public:
  Gauge() = default;
  void set(double value) {
    if (cell_ != nullptr) cell_->set(value);
  }
  // For what is counted up and down; several may share a series so.
  void add(double amount) {
    if (cell_ != nullptr) cell_->add(amount);
  }

 private:
  friend class Shard;
  explicit Gauge(Cell* cell) : cell_(cell) {}
  Cell* cell_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  void observe(double value) {
    if (on()) count(value);
  }

 protected:
  friend class Registry;
  Histogram(std::span<const double> bounds, Cell* cells, const std::atomic<bool>* on)
      : bounds_(bounds), cells_(cells), on_(on) {}
  bool on() const { return cells_ != nullptr && on_->load(std::memory_order_relaxed); }
  // The bucket.
  std::size_t count(double value) {
    std::size_t bucket = 0;
    // Linear: there are at most twenty, most values are small, and it predicts well.
    while (bucket < bounds_.size() && value > bounds_[bucket]) ++bucket;
    cells_[bucket].add(1);
    cells_[bounds_.size() + 1].add(value);
    return bucket;
  }

 private:
  std::span<const double> bounds_;
  Cell* cells_ = nullptr;  // a count for each bucket and +Inf, then the sum
  const std::atomic<bool>* on_ = nullptr;
};

// A histogram that remembers for each bucket the last request whose trace is kept.
class TracedHistogram : public Histogram {
 public:
  TracedHistogram() = default;
  // No trace: as observe().
  void observe_with(double value, const TraceId& trace) {
    if (!on()) return;
    const std::size_t bucket = count(value);
    if (trace && exemplars_ != nullptr) keep(bucket, value, trace);
  }

 private:
  friend class Shard;
  TracedHistogram(const Histogram& histogram, ExemplarCell* exemplars)
      : Histogram(histogram), exemplars_(exemplars) {}
  void keep(std::size_t bucket, double value, const TraceId& trace);
  ExemplarCell* exemplars_ = nullptr;  // null: none are kept
};

enum class Type : std::uint8_t { counter, gauge, histogram };
enum class Format : std::uint8_t { text, openmetrics };

class Registry;

// Where one thread gets its handles. Making them may lock and allocate; using them never does.
// A name always comes with the same help, type and label names.
class Shard {
 public:
  Counter counter(std::string_view name, std::string_view help, const Labels& labels);
  Gauge gauge(std::string_view name, std::string_view help, const Labels& labels);
  Histogram histogram(std::string_view name, std::string_view help, std::span<const double> bounds,
                      const Labels& labels);
  TracedHistogram traced_histogram(std::string_view name, std::string_view help,
                                   std::span<const double> bounds, const Labels& labels);

 private:
  friend class Registry;
  Shard(Registry& registry, std::size_t index) : registry_(registry), index_(index) {}
  Registry& registry_;
  std::size_t index_;
};

class Registry {
 public:
  static constexpr std::size_t kMostSeries = 10'000;  // of one metric

  // `shards` threads will write. `max_label_values`: of one label of one metric whose values come
  // from the configuration (engine, model, tenant); what comes later is counted under "other" (and
  // by penstock_metrics_overflow_total). Sets that the program knows, as `code`, are not cut by it;
  // `max_series` is for all labels together, and what comes later is "other" in each of them.
  explicit Registry(std::size_t shards, std::size_t max_label_values = 200,
                    std::size_t max_series = kMostSeries);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  ~Registry();

  Shard& shard(std::size_t index) { return shards_[index]; }
  std::size_t shards() const { return shards_.size(); }

  // Whether exemplars are kept; of handles that are made from now on.
  void keep_exemplars(bool keep) { keep_exemplars_ = keep; }
  // Whether histograms count, from now on. Any thread.
  void set_observing(bool on) { observing_.store(on, std::memory_order_relaxed); }
  bool observing() const { return observing_.load(std::memory_order_relaxed); }

  // A value that is asked for when it is scraped, on the scraping thread; nothing: what it told of
  // is no more, and the series is not shown. Must not touch the registry. A series that there is
  // is read so from now on.
  void watch(Type type, std::string_view name, std::string_view help, Labels labels,
             std::function<std::optional<double>()> read);

  // Appends all series, families by name. Any thread. (render.cc)
  void render(std::string& out, Format format) const;

  // The sum of a counter's or gauge's series whose labels include `labels`.
  double sum(std::string_view name, const Labels& labels = {}) const;

  // What a metric's series are now; nothing where there is none of that name. (catalogue.cc)
  struct Reading {
    Labels labels;
    double value = 0;             // of a histogram how often it observed
    double sum = 0;               // of a histogram
    std::vector<double> buckets;  // likewise, one each; the last is what lies beyond the bounds
  };
  std::vector<Reading> readings(std::string_view name) const;
  std::vector<double> bounds(std::string_view name) const;  // of a histogram

  // What there is, by name. (catalogue.cc)
  struct Entry {
    std::string name;
    Type type = Type::counter;
    std::string help;
    std::vector<double> bounds;
    std::vector<std::pair<std::string, std::vector<std::string>>> labels;  // with their values
  };
  std::vector<Entry> catalogue() const;

 private:
  friend class Shard;
  struct Series;
  struct Family;

  Family& family(Type type, std::string_view name, std::string_view help,
                 std::span<const double> bounds);
  std::string* full_label(const Family& in, Labels& labels) const;
  Series* find(const Family& in, Labels& labels);
  Series& add(Family& in, Labels labels);
  Series& series(Family& in, const Labels& labels);
  Cell* cells(std::size_t shard, Type type, std::string_view name, std::string_view help,
              std::span<const double> bounds, const Labels& labels);
  Histogram histogram(std::size_t shard, std::string_view name, std::string_view help,
                      std::span<const double> bounds, const Labels& labels,
                      ExemplarCell** exemplars);
  static void render(std::string& out, const Family& family, Format format);

  const std::size_t max_label_values_;
  const std::size_t max_series_;
  bool keep_exemplars_ = true;
  std::atomic<bool> observing_{true};
  std::deque<Shard> shards_;
  mutable std::mutex mutex_;  // of families_ and what is in them, but not of the cells' values
  std::vector<std::unique_ptr<Family>> families_;  // by name
  std::atomic<std::uint64_t> overflow_{0};
  // Lines for series that the last `render` wrote, and the series that says so.
  mutable std::atomic<std::uint64_t> lines_{0};
  Series* lines_series_ = nullptr;
};

// By the weights of an Accept header; OpenMetrics only where it is wanted more than text.
// (accept.cc)
Format choose_format(std::string_view accept);
std::string_view content_type(Format format);

}  // namespace penstock::observe
