#include "observe/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "observe/family.h"

namespace penstock::observe {
namespace {

constexpr std::string_view kOther = "other";

std::string bound_text(double bound, Format format) {
  // OpenMetrics wants canonical numbers: a float has a point.
  std::string text = fmt::format("{}", bound);
  if (format == Format::openmetrics && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

}  // namespace

std::string hex(const TraceId& trace) {
  return fmt::format("{:016x}{:016x}", trace.high, trace.low);
}

// Rare: of requests whose trace is kept.
void TracedHistogram::keep(std::size_t bucket, double value, const TraceId& trace) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  exemplars_[bucket].set({trace, value, std::chrono::duration<double>(now).count()});
}

Registry::Registry(std::size_t shards, std::size_t max_label_values, std::size_t max_series)
    : max_label_values_(max_label_values), max_series_(max_series) {
  for (std::size_t i = 0; i < shards; ++i) shards_.push_back(Shard(*this, i));
  watch(Type::counter, "penstock_metrics_overflow_total",
        "Label values beyond metrics.max_label_values, and series beyond 10000 of one metric, that "
        "are counted as other.",
        {}, [this] { return static_cast<double>(overflow_.load(std::memory_order_relaxed)); });
  constexpr std::string_view kSeries = "penstock_metrics_series";
  watch(Type::gauge, kSeries,
        "Series exposed; a histogram has one for each bucket, its sum and its count.", {},
        [this] { return static_cast<double>(lines_.load(std::memory_order_relaxed)); });
  lines_series_ = family(Type::gauge, kSeries, {}, {}).series.front().get();
}

Registry::~Registry() = default;

Registry::Family& Registry::family(Type type, std::string_view name, std::string_view help,
                                   std::span<const double> bounds) {
  const auto at = std::lower_bound(
      families_.begin(), families_.end(), name,
      [](const auto& known, std::string_view wanted) { return known->name < wanted; });
  if (at != families_.end() && (*at)->name == name) return **at;
  auto made = std::make_unique<Family>();
  made->type = type;
  made->name = name;
  made->help = help;
  made->bounds.assign(bounds.begin(), bounds.end());
  for (const Format format : {Format::text, Format::openmetrics}) {
    std::vector<std::string>& texts = made->bound_texts[static_cast<std::size_t>(format)];
    for (const double bound : bounds) texts.push_back(bound_text(bound, format));
    texts.emplace_back("+Inf");
  }
  return **families_.insert(at, std::move(made));
}

// A label's value that is new where there are too many already.
std::string* Registry::full_label(const Family& in, Labels& labels) const {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::string& value = labels[i].second;
    // "other" takes no place of those that have one.
    if (!open_set(labels[i].first) || value == kOther || in.values.size() <= i) continue;
    if (in.values[i].size() >= max_label_values_ && !in.values[i].contains(value)) {
      return &labels[i].second;
    }
  }
  return nullptr;
}

// Null: it is to be made, with the labels as they have become.
Registry::Series* Registry::find(const Family& in, Labels& labels) {
  const auto look = [&]() -> Series* {
    const auto at = in.by_text.find(text_of(labels));
    return at == in.by_text.end() ? nullptr : at->second;
  };
  if (Series* const known = look()) return known;
  bool cut = false;
  while (std::string* const full = full_label(in, labels)) {
    *full = kOther;
    overflow_.fetch_add(1, std::memory_order_relaxed);
    cut = true;
  }
  Series* const known = cut ? look() : nullptr;
  if (known != nullptr || in.series.size() < max_series_) return known;
  for (auto& label : labels) label.second = kOther;
  overflow_.fetch_add(1, std::memory_order_relaxed);
  return look();
}

Registry::Series& Registry::add(Family& in, Labels labels) {
  auto made = std::make_unique<Series>();
  made->labels = std::move(labels);
  made->text = text_of(made->labels);
  in.values.resize(made->labels.size());
  for (std::size_t i = 0; i < made->labels.size(); ++i) {
    const auto& [label, value] = made->labels[i];
    if (open_set(label) && value != kOther) in.values[i].insert(value);
  }
  Series& added = *in.series.emplace_back(std::move(made));
  in.by_text.emplace(added.text, &added);
  return added;
}

Registry::Series& Registry::series(Family& in, const Labels& wanted) {
  Labels labels = wanted;
  Series* const known = find(in, labels);
  if (known != nullptr) return *known;
  Series& made = add(in, std::move(labels));
  made.cells.resize(shards_.size());
  made.exemplars.resize(shards_.size());
  return made;
}

Cell* Registry::cells(std::size_t shard, Type type, std::string_view name, std::string_view help,
                      std::span<const double> bounds, const Labels& labels) {
  const std::lock_guard lock(mutex_);
  Family& in = family(type, name, help, bounds);
  std::unique_ptr<Cell[]>& cells = series(in, labels).cells[shard];
  if (!cells) cells = std::make_unique<Cell[]>(in.cell_count());
  return cells.get();
}

Histogram Registry::histogram(std::size_t shard, std::string_view name, std::string_view help,
                              std::span<const double> bounds, const Labels& labels,
                              ExemplarCell** exemplars) {
  Cell* const its_cells = cells(shard, Type::histogram, name, help, bounds, labels);
  const std::lock_guard lock(mutex_);
  Family& in = family(Type::histogram, name, help, bounds);
  if (exemplars != nullptr && keep_exemplars_) {
    std::unique_ptr<ExemplarCell[]>& kept = series(in, labels).exemplars[shard];
    if (!kept) kept = std::make_unique<ExemplarCell[]>(in.bounds.size() + 1);
    *exemplars = kept.get();
  }
  // The family's own copy of the bounds lives as long as the registry.
  return Histogram(in.bounds, its_cells, &observing_);
}

Counter Shard::counter(std::string_view name, std::string_view help, const Labels& labels) {
  return Counter(registry_.cells(index_, Type::counter, name, help, {}, labels));
}

Gauge Shard::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  return Gauge(registry_.cells(index_, Type::gauge, name, help, {}, labels));
}

Histogram Shard::histogram(std::string_view name, std::string_view help,
                           std::span<const double> bounds, const Labels& labels) {
  return registry_.histogram(index_, name, help, bounds, labels, nullptr);
}

TracedHistogram Shard::traced_histogram(std::string_view name, std::string_view help,
                                        std::span<const double> bounds, const Labels& labels) {
  ExemplarCell* exemplars = nullptr;
  const Histogram made = registry_.histogram(index_, name, help, bounds, labels, &exemplars);
  return TracedHistogram(made, exemplars);
}

void Registry::watch(Type type, std::string_view name, std::string_view help, Labels labels,
                     std::function<std::optional<double>()> read) {
  const std::lock_guard lock(mutex_);
  Family& in = family(type, name, help, {});
  if (const auto at = in.by_text.find(text_of(labels)); at != in.by_text.end()) {
    at->second->read = std::move(read);
    return;
  }
  if (full_label(in, labels) != nullptr || in.series.size() >= max_series_) {
    overflow_.fetch_add(1, std::memory_order_relaxed);
    return;  // there is no sense in one value for all others
  }
  add(in, std::move(labels)).read = std::move(read);
}

double Registry::sum(std::string_view name, const Labels& labels) const {
  const std::lock_guard lock(mutex_);
  double total = 0;
  for (const auto& family : families_) {
    if (family->name != name || family->type == Type::histogram) continue;
    for (const auto& series : family->series) {
      const bool wanted = std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
        return std::find(series->labels.begin(), series->labels.end(), label) !=
               series->labels.end();
      });
      if (wanted) total += series->value().value_or(0);
    }
  }
  return total;
}

}  // namespace penstock::observe
